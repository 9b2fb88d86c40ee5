//! The words that mail programs put around what they quote, in the languages that they speak. In lower case.

/// Before who wrote.
#[rustfmt::skip]
pub const FROM: &[&str] = &[
    "from", "von", "de", "da", "van", "od", "från", "fra", "lähettäjä", "feladó", "kimden", "gönderen", "expéditeur",
    "remitente", "mittente", "remetente", "afzender", "nadawca", "от", "от кого", "відправник", "від", "差出人", "送信者",
    "发件人", "寄件者", "寄件人", "보낸 사람", "보낸사람", "από", "מאת", "من", "จาก", "odesílatel", "de la", "absender", "dari", "nuo",
    "no", "saatja", "từ", "mula sa", "از", "nga", "пошиљалац", "šalje",
];
/// Before when.
#[rustfmt::skip]
pub const DATE: &[&str] = &[
    "date", "sent", "sent at", "gesendet", "datum", "envoyé", "envoyée", "envoyé le", "fecha", "enviado",
    "enviado el", "enviada em", "enviado em", "data", "inviato", "data invio", "verzonden", "wysłano", "wysłane",
    "дата", "отправлено", "надіслано", "送信日時", "日時", "日付", "发送时间", "发送日期", "日期", "时间", "寄件日期", "傳送時間", "보낸 날짜", "날짜",
    "보낸날짜", "skickat", "skickades", "sendt", "dato", "lähetetty", "päivämäärä", "päiväys", "odesláno", "elküldve",
    "dátum", "gönderildi", "gönderim", "tarih", "στάλθηκε", "ημερομηνία", "נשלח", "תאריך", "تاريخ", "ส่ง", "วันที่",
    "trimis", "odoslané", "dikirim", "poslano", "изпратено", "изпратено на", "išsiųsta", "nosūtīts", "saadetud",
    "enviat", "đã gửi", "ngày", "تم الإرسال", "تاريخ الإرسال", "ارسال", "послато", "sent on", "date d’envoi",
];
/// Before to whom.
#[rustfmt::skip]
pub const TO: &[&str] = &[
    "to", "an", "à", "a", "para", "aan", "do", "till", "til", "vastaanottaja", "címzett", "kime", "alıcı",
    "destinataire", "destinatario", "destinatário", "кому", "宛先", "收件人", "收件者", "받는 사람", "받는사람", "komu", "προς", "אל",
    "إلى", "ถึง", "către", "empfänger", "pre", "kepada", "za", "до", "skirta", "kam", "adressaat", "per a", "tới",
    "đến", "به", "prima", "pour", "adresat",
];
/// Before who else got it.
#[rustfmt::skip]
pub const COPY: &[&str] = &[
    "cc", "bcc", "kopie", "kopia", "copie à", "copie", "dw", "udw", "копия", "抄送", "副本", "참조", "kopi", "kopio",
    "másolat", "bilgi", "c.c.", "kópia",
];
/// Before what it is about.
#[rustfmt::skip]
pub const SUBJECT: &[&str] = &[
    "subject", "betreff", "objet", "asunto", "oggetto", "assunto", "onderwerp", "temat", "тема", "件名", "主题", "主題",
    "主旨", "제목", "ämne", "emne", "aihe", "předmět", "tárgy", "konu", "θέμα", "נושא", "الموضوع", "เรื่อง", "subiect",
    "predmet", "subjek", "zadeva", "относно", "tema", "temats", "teema", "assumpte", "chủ đề", "موضوع", "naslov",
    "sujet", "konu başlığı",
];
/// Before the rest.
#[rustfmt::skip]
pub const OTHER: &[&str] = &[
    "importance", "priority", "wichtigkeit", "importância", "importancia", "attachments", "anlagen", "reply-to",
    "antwort an", "répondre à", "priorité",
];

/// How a line between dashes says that an answer follows to what was written.
#[rustfmt::skip]
pub const ORIGINAL: &[&str] = &[
    "original message", "original-nachricht", "original nachricht", "originalnachricht", "ursprüngliche nachricht",
    "originele bericht", "oorspronkelijk bericht", "oorspronkelijke bericht", "message d'origine",
    "message d’origine", "message original", "message initial", "mensaje original", "messaggio originale",
    "mensagem original", "original e-mail", "wiadomość oryginalna", "oryginalna wiadomość", "исходное сообщение",
    "оригинальное сообщение", "вихідне повідомлення", "ursprungligt meddelande", "originalmeddelande",
    "oprindelig meddelelse", "opprinnelig melding", "original melding", "alkuperäinen viesti", "původní zpráva",
    "původní e-mail", "eredeti üzenet", "orijinal ileti", "orijinal mesaj", "元のメッセージ", "オリジナルメッセージ", "原始邮件", "原始郵件",
    "原始信件", "원본 메시지", "원본 메일", "original", "αρχικό μήνυμα", "pôvodná správa", "mesaj original", "reply message",
    "回复的原邮件", "original mail", "оригинално писмо", "originalno sporočilo", "izvorna poruka", "pesan asli",
    "missatge original", "thư gốc", "originalus pranešimas", "الرسالة الأصلية", "הודעה מקורית",
];

/// How a line says that what follows is passed on.
#[rustfmt::skip]
pub const FORWARDED: &[&str] = &[
    "forwarded message", "forwarded by", "forwarded mail", "begin forwarded message", "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht", "weitergeleitete e-mail", "message transféré", "message transmis",
    "début du message transféré", "début du message réexpédié", "mensaje reenviado", "inicio del mensaje reenviado",
    "messaggio inoltrato", "inizio messaggio inoltrato", "mensagem encaminhada", "mensagem reencaminhada",
    "início da mensagem encaminhada", "início da mensagem reencaminhada", "doorgestuurd bericht",
    "begin doorgestuurd bericht", "wiadomość przekazana", "przekazana wiadomość", "początek przekazywanej wiadomości",
    "пересылаемое сообщение", "пересланное сообщение", "переадресованное сообщение",
    "начало переадресованного сообщения", "начало перенаправленного сообщения", "переслане повідомлення",
    "転送されたメッセージ", "転送メッセージ", "转发的邮件", "转发邮件", "下面是被转发的邮件", "開始轉寄郵件", "轉寄郵件", "轉寄的郵件", "전달된 메시지", "전달된 메일",
    "vidarebefordrat meddelande", "vidarebefordrat brev", "vidaresänt meddelande", "videresendt meddelelse",
    "videresendt besked", "videresendt melding", "start på videresendt", "välitetty viesti",
    "edelleenlähetetty viesti", "přeposlaná zpráva", "továbbított üzenet", "iletilen ileti", "iletilmiş mesaj",
    "προωθημένο μήνυμα", "mesaj redirecționat", "pesan diteruskan", "missatge reenviat", "przekazany list",
    "препратено съобщение", "הודעה שהועברה", "رسالة معاد توجيهها",
];

/// Who wrote something is said with one of these.
#[rustfmt::skip]
pub const WROTE: &[&str] = &[
    "wrote", "writes", "schrieb", "schrieben", "geschrieben", "a écrit", "écrit", "escribió", "escribio",
    "ha scritto", "scritto", "scrive", "escreveu", "schreef", "geschreven", "napisał", "napisała", "napisał(a)",
    "pisze", "написал", "написала", "написал(а)", "пишет", "писал", "писал(а)", "написав", "пише", "skrev",
    "kirjoitti", "napsal", "napsala", "napsal(a)", "napísal", "írta", "yazdı", "yazmış", "のメール", "は書きました", "書きました",
    "写道", "寫道", "님이 작성", "작성", "έγραψε", "כתב", "כתבה", "كتب", "a scris", "wrote on",
];
/// The same, before the name.
#[rustfmt::skip]
pub const WROTE_BEFORE: &[&str] = &[
    "quoting ", "zitat von ", "citát ", "quoting: ",
];

/// Before the subject of an answer.
#[rustfmt::skip]
pub const REPLY_PREFIXES: &[&str] = &[
    "re", "aw", "antw", "antwort", "sv", "odp", "ynt", "yan", "res", "rif", "r", "ré", "rép", "回复", "答复", "回覆", "返信",
    "отв", "ha", "на", "vá", "απ", "σχετ", "atb", "enc re", "답장", "回信", "відп", "vl re", "ref",
];
/// `VS` is an answer in Finnish and a forward in Norwegian: as a forward it is not folded, and nothing is hidden.
#[rustfmt::skip]
pub const FORWARD_PREFIXES: &[&str] = &[
    "fw", "fwd", "wg", "tr", "rv", "i", "enc", "doorst", "vs", "vb", "vl", "pd", "trans", "转发", "轉寄", "転送", "전달",
    "пересл", "переслано", "ilt", "i̇lt", "továbbítás", "πρθ", "fs", "inoltro", "reenv", "wtrlt",
];

/// How somebody says that they answered in what follows.
#[rustfmt::skip]
pub const BELOW: &[&str] = &[
    "inline", "in-line", "see below", "answers below", "answer below", "answered below", "reply below",
    "replies below", "replied below", "comments below", "comment below", "responses below", "response below",
    "notes below", "answers are below", "replies are below", "comments are below", "responses are below", "below in",
    "in red", "in blue", "in green", "in bold", "in capitals", "in caps", "between the lines", "siehe unten",
    "s. unten", "s.u.", "antworten unten", "antwort unten", "antworten stehen unten", "antworten findest du unten",
    "antworten finden sie unten", "weiter unten", "im text", "in rot", "in blau", "in grün", "ci-dessous", "en rouge",
    "en bleu", "dans le texte", "plus bas", "más abajo", "abajo", "en rojo", "en azul", "qui sotto", "sotto",
    "di seguito", "in rosso", "nel testo", "abaixo", "em vermelho", "em azul", "hieronder", "in het rood", "in rood",
    "in de tekst", "poniżej", "na czerwono", "w tekście", "ниже", "красным", "в тексте", "下記", "以下に", "インライン", "赤字",
    "下面", "如下", "红字", "紅字", "红色", "nedan", "nedenfor", "i rött", "i teksten", "아래", "aşağıda", "níže", "červeně",
];
