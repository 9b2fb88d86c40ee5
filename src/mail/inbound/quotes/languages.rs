//! The words that mail programs put around what they quote, in the languages that they speak.

/// What a field of a quoted head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    From,
    Date,
    To,
    Copy,
    Subject,
    /// Importance, attachments, and what else stands there.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    Reply,
    Forward,
}

const FROM: &[&str] = &[
    "from",
    "von",
    "de",
    "da",
    "van",
    "od",
    "från",
    "fra",
    "lähettäjä",
    "feladó",
    "kimden",
    "gönderen",
    "expéditeur",
    "remitente",
    "mittente",
    "remetente",
    "afzender",
    "nadawca",
    "от",
    "от кого",
    "відправник",
    "від",
    "差出人",
    "送信者",
    "发件人",
    "寄件者",
    "寄件人",
    "보낸 사람",
    "보낸사람",
    "από",
    "מאת",
    "من",
    "จาก",
    "odesílatel",
    "de la",
    "absender",
];
const DATE: &[&str] = &[
    "date",
    "sent",
    "sent at",
    "gesendet",
    "datum",
    "envoyé",
    "envoyée",
    "envoyé le",
    "fecha",
    "enviado",
    "enviado el",
    "enviada em",
    "enviado em",
    "data",
    "inviato",
    "data invio",
    "verzonden",
    "wysłano",
    "wysłane",
    "дата",
    "отправлено",
    "надіслано",
    "送信日時",
    "日時",
    "日付",
    "发送时间",
    "发送日期",
    "日期",
    "时间",
    "寄件日期",
    "傳送時間",
    "보낸 날짜",
    "날짜",
    "보낸날짜",
    "skickat",
    "skickades",
    "sendt",
    "dato",
    "lähetetty",
    "päivämäärä",
    "päiväys",
    "odesláno",
    "elküldve",
    "dátum",
    "gönderildi",
    "gönderim",
    "tarih",
    "στάλθηκε",
    "ημερομηνία",
    "נשלח",
    "תאריך",
    "تاريخ",
    "ส่ง",
    "วันที่",
    "trimis",
    "odoslané",
];
const TO: &[&str] = &[
    "to",
    "an",
    "à",
    "a",
    "para",
    "aan",
    "do",
    "till",
    "til",
    "vastaanottaja",
    "címzett",
    "kime",
    "alıcı",
    "destinataire",
    "destinatario",
    "destinatário",
    "кому",
    "宛先",
    "收件人",
    "收件者",
    "받는 사람",
    "받는사람",
    "komu",
    "προς",
    "אל",
    "إلى",
    "ถึง",
    "către",
    "empfänger",
    "pre",
];
const COPY: &[&str] = &[
    "cc",
    "bcc",
    "kopie",
    "kopia",
    "copie à",
    "copie",
    "dw",
    "udw",
    "копия",
    "抄送",
    "副本",
    "참조",
    "kopi",
    "kopio",
    "másolat",
    "bilgi",
    "c.c.",
    "kópia",
];
const SUBJECT: &[&str] = &[
    "subject",
    "betreff",
    "objet",
    "asunto",
    "oggetto",
    "assunto",
    "onderwerp",
    "temat",
    "тема",
    "件名",
    "主题",
    "主題",
    "主旨",
    "제목",
    "ämne",
    "emne",
    "aihe",
    "předmět",
    "tárgy",
    "konu",
    "θέμα",
    "נושא",
    "الموضوع",
    "เรื่อง",
    "subiect",
    "predmet",
];
const OTHER: &[&str] = &[
    "importance",
    "priority",
    "wichtigkeit",
    "importância",
    "importancia",
    "attachments",
    "anlagen",
    "reply-to",
    "antwort an",
    "répondre à",
    "priorité",
];

/// How a line between dashes says that an answer follows to what was written.
const ORIGINAL: &[&str] = &[
    "original message",
    "original-nachricht",
    "original nachricht",
    "originalnachricht",
    "ursprüngliche nachricht",
    "originele bericht",
    "oorspronkelijk bericht",
    "oorspronkelijke bericht",
    "message d'origine",
    "message d’origine",
    "message original",
    "message initial",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
    "original e-mail",
    "wiadomość oryginalna",
    "oryginalna wiadomość",
    "исходное сообщение",
    "оригинальное сообщение",
    "вихідне повідомлення",
    "ursprungligt meddelande",
    "originalmeddelande",
    "oprindelig meddelelse",
    "opprinnelig melding",
    "original melding",
    "alkuperäinen viesti",
    "původní zpráva",
    "původní e-mail",
    "eredeti üzenet",
    "orijinal ileti",
    "orijinal mesaj",
    "元のメッセージ",
    "オリジナルメッセージ",
    "原始邮件",
    "原始郵件",
    "原始信件",
    "원본 메시지",
    "원본 메일",
    "original",
    "αρχικό μήνυμα",
    "pôvodná správa",
    "mesaj original",
    "reply message",
    "回复的原邮件",
    "original mail",
];

/// How a line says that what follows is passed on.
const FORWARDED: &[&str] = &[
    "forwarded message",
    "forwarded by",
    "forwarded mail",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht",
    "weitergeleitete e-mail",
    "message transféré",
    "message transmis",
    "début du message transféré",
    "début du message réexpédié",
    "mensaje reenviado",
    "inicio del mensaje reenviado",
    "messaggio inoltrato",
    "inizio messaggio inoltrato",
    "mensagem encaminhada",
    "mensagem reencaminhada",
    "início da mensagem encaminhada",
    "início da mensagem reencaminhada",
    "doorgestuurd bericht",
    "begin doorgestuurd bericht",
    "wiadomość przekazana",
    "przekazana wiadomość",
    "początek przekazywanej wiadomości",
    "пересылаемое сообщение",
    "пересланное сообщение",
    "переадресованное сообщение",
    "начало переадресованного сообщения",
    "начало перенаправленного сообщения",
    "переслане повідомлення",
    "転送されたメッセージ",
    "転送メッセージ",
    "转发的邮件",
    "转发邮件",
    "下面是被转发的邮件",
    "開始轉寄郵件",
    "轉寄郵件",
    "轉寄的郵件",
    "전달된 메시지",
    "전달된 메일",
    "vidarebefordrat meddelande",
    "vidarebefordrat brev",
    "vidaresänt meddelande",
    "videresendt meddelelse",
    "videresendt besked",
    "videresendt melding",
    "start på videresendt",
    "välitetty viesti",
    "edelleenlähetetty viesti",
    "přeposlaná zpráva",
    "továbbított üzenet",
    "iletilen ileti",
    "iletilmiş mesaj",
    "προωθημένο μήνυμα",
    "mesaj redirecționat",
];

/// Who wrote something is said with one of these.
const WROTE: &[&str] = &[
    "wrote",
    "writes",
    "schrieb",
    "schrieben",
    "geschrieben",
    "a écrit",
    "écrit",
    "escribió",
    "escribio",
    "ha scritto",
    "scritto",
    "scrive",
    "escreveu",
    "schreef",
    "geschreven",
    "napisał",
    "napisała",
    "napisał(a)",
    "pisze",
    "написал",
    "написала",
    "написал(а)",
    "пишет",
    "писал",
    "писал(а)",
    "написав",
    "пише",
    "skrev",
    "kirjoitti",
    "napsal",
    "napsala",
    "napsal(a)",
    "napísal",
    "írta",
    "yazdı",
    "yazmış",
    "のメール",
    "は書きました",
    "書きました",
    "写道",
    "寫道",
    "님이 작성",
    "작성",
    "έγραψε",
    "כתב",
    "כתבה",
    "كتب",
    "a scris",
    "wrote on",
];
/// The same, before the name.
const WROTE_BEFORE: &[&str] = &["quoting ", "zitat von ", "citát ", "quoting: "];

const REPLY_PREFIXES: &[&str] = &[
    "re", "aw", "antw", "antwort", "sv", "odp", "ynt", "yan", "res", "rif", "r", "ré", "rép", "回复", "答复", "回覆",
    "返信", "отв", "ha", "на", "vá", "απ", "σχετ", "atb", "enc re", "답장", "回信", "відп", "vl re", "ref",
];
/// `VS` is an answer in Finnish and a forward in Norwegian: as a forward it is not folded, and nothing is hidden.
const FORWARD_PREFIXES: &[&str] = &[
    "fw",
    "fwd",
    "wg",
    "tr",
    "rv",
    "i",
    "enc",
    "doorst",
    "vs",
    "vb",
    "vl",
    "pd",
    "trans",
    "转发",
    "轉寄",
    "転送",
    "전달",
    "пересл",
    "переслано",
    "ilt",
    "i̇lt",
    "továbbítás",
    "πρθ",
    "fs",
    "inoltro",
    "reenv",
    "wtrlt",
];

/// How somebody says that they answered in what follows.
const BELOW: &[&str] = &[
    "inline",
    "in-line",
    "see below",
    "answers below",
    "answer below",
    "answered below",
    "reply below",
    "replies below",
    "replied below",
    "comments below",
    "comment below",
    "responses below",
    "response below",
    "notes below",
    "answers are below",
    "replies are below",
    "comments are below",
    "responses are below",
    "below in",
    "in red",
    "in blue",
    "in green",
    "in bold",
    "in capitals",
    "in caps",
    "between the lines",
    "siehe unten",
    "s. unten",
    "s.u.",
    "antworten unten",
    "antwort unten",
    "antworten stehen unten",
    "antworten findest du unten",
    "antworten finden sie unten",
    "weiter unten",
    "im text",
    "in rot",
    "in blau",
    "in grün",
    "ci-dessous",
    "en rouge",
    "en bleu",
    "dans le texte",
    "plus bas",
    "más abajo",
    "abajo",
    "en rojo",
    "en azul",
    "qui sotto",
    "sotto",
    "di seguito",
    "in rosso",
    "nel testo",
    "abaixo",
    "em vermelho",
    "em azul",
    "hieronder",
    "in het rood",
    "in rood",
    "in de tekst",
    "poniżej",
    "na czerwono",
    "w tekście",
    "ниже",
    "красным",
    "в тексте",
    "下記",
    "以下に",
    "インライン",
    "赤字",
    "下面",
    "如下",
    "红字",
    "紅字",
    "红色",
    "nedan",
    "nedenfor",
    "i rött",
    "i teksten",
    "아래",
    "aşağıda",
    "níže",
    "červeně",
];

/// The first prefix of a subject says what the message is; labels in brackets before it are a list's.
pub fn subject_prefix(subject: &str) -> Option<Prefix> {
    let mut rest = subject.trim_start();
    while let Some(end) = rest.strip_prefix('[').and_then(|inside| inside.find(']')) {
        rest = rest[end + 2..].trim_start();
    }
    let end = rest.find([':', '：'])?;
    let word = rest[..end].trim().to_lowercase();
    // `Re[2]`, `AW (3)`.
    let word = word.split(['[', '(']).next().unwrap_or_default().trim();
    if REPLY_PREFIXES.contains(&word) {
        Some(Prefix::Reply)
    } else if FORWARD_PREFIXES.contains(&word) {
        Some(Prefix::Forward)
    } else {
        None
    }
}

/// What a line such as `*Von:* Ann` says, when it is a field with something in it.
pub fn role(line: &str) -> Option<Role> {
    let line = line.trim_start_matches(['*', '_', '|', ' ', '\t']);
    let end = line.char_indices().take(24).find(|(_, c)| matches!(c, ':' | '：')).map(|(at, _)| at)?;
    let value = line[end..].trim_start_matches([':', '：', '*', '_', ' ', '\t', '\u{a0}']);
    if value.is_empty() {
        return None;
    }
    // Japanese and Chinese programs fill the words up with spaces: `件　名`.
    let label = line[..end].trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_').to_lowercase();
    let label = label.replace('\u{3000}', "");
    let is = |words: &[&str]| words.contains(&label.as_str());
    Some(match () {
        () if is(FROM) => Role::From,
        () if is(DATE) => Role::Date,
        () if is(TO) => Role::To,
        () if is(COPY) => Role::Copy,
        () if is(SUBJECT) => Role::Subject,
        () if is(OTHER) => Role::Other,
        () => return None,
    })
}

/// A line between dashes, or of what stands for them, that says one of `words`.
fn says_between_dashes(line: &str, words: &[&str]) -> bool {
    if line.len() > 200 {
        return false;
    }
    let said = line
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '_' | '=' | '*' | '>' | '<' | '—' | '–' | '─'));
    let dashes = line.chars().take_while(|c| matches!(c, '-' | '_' | '=' | '—' | '–' | '─')).count();
    let said = said.to_lowercase();
    let said = said.trim_end_matches([':', '：']).trim();
    dashes >= 2 && words.contains(&said)
}

pub fn is_original(line: &str) -> bool {
    says_between_dashes(line, ORIGINAL)
}

/// Whether a line says that what follows is passed on: between dashes, or alone with a colon, as Apple has it.
pub fn is_forward(line: &str) -> bool {
    if line.len() > 200 {
        return false;
    }
    if says_between_dashes(line, FORWARDED) {
        return true;
    }
    let said = line.to_lowercase();
    // `---------- Forwarded by Ann on ... ---------`
    if line.starts_with("---") && FORWARDED.iter().any(|words| said.trim_start_matches(['-', ' ']).starts_with(words)) {
        return true;
    }
    let alone = said.trim_end_matches([':', '：']).trim();
    said.ends_with([':', '：']) && FORWARDED.contains(&alone)
}

/// Whether a line ends by saying that somebody wrote something.
pub fn says_that_somebody_wrote(line: &str) -> bool {
    let line = line.trim_end_matches([':', '：', ' ', '\u{a0}']).to_lowercase();
    let ends = |word: &&str| {
        line.strip_suffix(*word).is_some_and(|before| {
            before.is_empty()
                || !before.ends_with(char::is_alphanumeric)
                || !word.is_ascii() && !word.starts_with(is_latin)
        })
    };
    // German and Dutch name who wrote it last; Scandinavians too.
    let names_last =
        [" schrieb ", " schreef ", " skrev ", " écrivait ", "ezt írta"].iter().any(|word| line.contains(word));
    WROTE.iter().any(|word| ends(&word)) || names_last || WROTE_BEFORE.iter().any(|word| line.starts_with(word))
}

/// Whether one of its words is that somebody wrote something, wherever it stands.
pub fn names_writing(line: &str) -> bool {
    let line = line.to_lowercase();
    line.split(|c: char| !c.is_alphabetic()).any(|word| WROTE.contains(&word))
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < 0x250
}

/// A line of nothing but dashes, underscores and their kin.
pub fn is_rule(line: &str) -> bool {
    line.chars().count() >= 2 && line.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | '─' | ' '))
}

pub fn says_that_the_answer_is_below(line: &str) -> bool {
    let line = line.to_lowercase();
    BELOW.iter().any(|words| {
        line.match_indices(words).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() || !is_latin(c));
            let after = line[at + words.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() || !is_latin(c));
            before && after
        })
    })
}
