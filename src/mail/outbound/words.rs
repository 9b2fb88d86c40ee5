//! What mail says, in the languages of sites. `{reference}`, `{site}`, `{org}`, `{customer}`, `{author}` and `{inviter}` are filled in.

use crate::store::{account_mails::AccountKind, mails::Kind};

/// A mail in a language.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub subject: &'static str,
    pub intro: &'static str,
    /// What its link is called.
    pub link: &'static str,
    /// Why it came.
    pub reason: &'static str,
}

/// Of a kind of mail, in a language; in English where it is unknown.
pub fn words(kind: Kind, language: &str) -> Words {
    let [subject, intro, link, reason] = match (kind, language) {
        (Kind::TicketReceived, "de") => [
            "[{reference}] Ihre Anfrage ist angekommen",
            "Ihre Anfrage an {site} ist angekommen. Ihre Nummer ist {reference}.",
            "Anfrage ansehen",
            "Sie bekommen diese Nachricht, weil jemand mit Ihrer Adresse an {site} geschrieben hat. Waren Sie das nicht, \
             brauchen Sie nichts zu tun.",
        ],
        (Kind::TicketReceived, "fr") => [
            "[{reference}] Nous avons reçu votre demande",
            "Votre demande à {site} nous est parvenue. Son numéro est {reference}.",
            "Voir la demande",
            "Vous recevez ce message parce que quelqu'un a écrit à {site} avec votre adresse. Si ce n'était pas vous, vous \
             n'avez rien à faire.",
        ],
        (Kind::TicketReceived, "es") => [
            "[{reference}] Hemos recibido su consulta",
            "Su consulta a {site} ha llegado. Su número es {reference}.",
            "Ver la consulta",
            "Recibe este mensaje porque alguien escribió a {site} con su dirección. Si no fue usted, no tiene que hacer nada.",
        ],
        (Kind::TicketReceived, _) => [
            "[{reference}] We have received your request",
            "Your request to {site} has arrived. Its number is {reference}.",
            "View the request",
            "You get this message because somebody wrote to {site} with your address. If that was not you, there is nothing \
             to do.",
        ],
        (Kind::TicketOpened, "de") => [
            "[{reference}] {subject}",
            "{author} von {site} hat Ihnen geschrieben:",
            "Ansehen und antworten",
            "Sie bekommen diese Nachricht, weil {site} die Anfrage {reference} für Sie angelegt hat.",
        ],
        (Kind::TicketOpened, "fr") => [
            "[{reference}] {subject}",
            "{author} de {site} vous a écrit :",
            "Voir et répondre",
            "Vous recevez ce message parce que {site} a ouvert la demande {reference} pour vous.",
        ],
        (Kind::TicketOpened, "es") => [
            "[{reference}] {subject}",
            "{author} de {site} le ha escrito:",
            "Ver y responder",
            "Recibe este mensaje porque {site} ha abierto la consulta {reference} para usted.",
        ],
        (Kind::TicketOpened, _) => [
            "[{reference}] {subject}",
            "{author} of {site} has written to you:",
            "View and reply",
            "You get this message because {site} has opened the request {reference} for you.",
        ],
        (Kind::TicketAnswered, "de") => [
            "[{reference}] Antwort auf Ihre Anfrage",
            "{author} von {site} hat Ihnen geantwortet:",
            "Ansehen und antworten",
            "Sie bekommen diese Nachricht wegen Ihrer Anfrage {reference} an {site}.",
        ],
        (Kind::TicketAnswered, "fr") => [
            "[{reference}] Réponse à votre demande",
            "{author} de {site} vous a répondu :",
            "Voir et répondre",
            "Vous recevez ce message au sujet de votre demande {reference} à {site}.",
        ],
        (Kind::TicketAnswered, "es") => [
            "[{reference}] Respuesta a su consulta",
            "{author} de {site} le ha respondido:",
            "Ver y responder",
            "Recibe este mensaje por su consulta {reference} a {site}.",
        ],
        (Kind::TicketAnswered, _) => [
            "[{reference}] An answer to your request",
            "{author} of {site} has answered you:",
            "View and reply",
            "You get this message because of your request {reference} to {site}.",
        ],
        (Kind::TicketResolved, "de") => [
            "[{reference}] Ihre Anfrage ist gelöst",
            "{site} hat Ihre Anfrage {reference} als gelöst markiert. Eine Antwort öffnet sie wieder.",
            "Anfrage ansehen",
            "Sie bekommen diese Nachricht wegen Ihrer Anfrage {reference} an {site}.",
        ],
        (Kind::TicketResolved, "fr") => [
            "[{reference}] Votre demande est résolue",
            "{site} a marqué votre demande {reference} comme résolue. Une réponse la rouvre.",
            "Voir la demande",
            "Vous recevez ce message au sujet de votre demande {reference} à {site}.",
        ],
        (Kind::TicketResolved, "es") => [
            "[{reference}] Su consulta está resuelta",
            "{site} ha marcado su consulta {reference} como resuelta. Una respuesta la abre de nuevo.",
            "Ver la consulta",
            "Recibe este mensaje por su consulta {reference} a {site}.",
        ],
        (Kind::TicketResolved, _) => [
            "[{reference}] Your request is resolved",
            "{site} has marked your request {reference} as resolved. A reply opens it again.",
            "View the request",
            "You get this message because of your request {reference} to {site}.",
        ],
        (Kind::AgentAssigned, "de") => [
            "[{reference}] Ihnen zugewiesen: {subject}",
            "{reference} von {customer} ist jetzt Ihre Anfrage: {subject}",
            "Anfrage öffnen",
            "Welche Nachrichten Sie bekommen, wählen Sie im Dashboard unter Benachrichtigungen.",
        ],
        (Kind::AgentAssigned, "fr") => [
            "[{reference}] Vous est attribuée : {subject}",
            "{reference} de {customer} vous est attribuée : {subject}",
            "Ouvrir la demande",
            "Choisissez les messages que vous recevez dans le tableau de bord, sous Notifications.",
        ],
        (Kind::AgentAssigned, "es") => [
            "[{reference}] Asignada a usted: {subject}",
            "{reference} de {customer} se le ha asignado: {subject}",
            "Abrir la consulta",
            "Elija qué mensajes recibe en el panel, en Notificaciones.",
        ],
        (Kind::AgentAssigned, _) => [
            "[{reference}] Assigned to you: {subject}",
            "{reference} of {customer} is assigned to you: {subject}",
            "Open the ticket",
            "Choose which messages you get in the dashboard, at Notifications.",
        ],
        (Kind::AgentCustomerAnswered, "de") => [
            "[{reference}] Neue Antwort: {subject}",
            "{customer} hat auf {reference} geantwortet:",
            "Anfrage öffnen",
            "Welche Nachrichten Sie bekommen, wählen Sie im Dashboard unter Benachrichtigungen.",
        ],
        (Kind::AgentCustomerAnswered, "fr") => [
            "[{reference}] Nouvelle réponse : {subject}",
            "{customer} a répondu à {reference} :",
            "Ouvrir la demande",
            "Choisissez les messages que vous recevez dans le tableau de bord, sous Notifications.",
        ],
        (Kind::AgentCustomerAnswered, "es") => [
            "[{reference}] Nueva respuesta: {subject}",
            "{customer} ha respondido a {reference}:",
            "Abrir la consulta",
            "Elija qué mensajes recibe en el panel, en Notificaciones.",
        ],
        (Kind::AgentCustomerAnswered, _) => [
            "[{reference}] New reply: {subject}",
            "{customer} has replied to {reference}:",
            "Open the ticket",
            "Choose which messages you get in the dashboard, at Notifications.",
        ],
        (Kind::Invitation, "de") => [
            "Einladung zu {org}",
            "{inviter} lädt Sie ein, in Vicket für {org} zu arbeiten. Der Link gilt sieben Tage.",
            "Einladung annehmen",
            "Wenn Sie das nicht erwartet haben, brauchen Sie nichts zu tun.",
        ],
        (Kind::Invitation, "fr") => [
            "Invitation à rejoindre {org}",
            "{inviter} vous invite à travailler pour {org} dans Vicket. Le lien est valable sept jours.",
            "Accepter l'invitation",
            "Si vous ne vous y attendiez pas, vous n'avez rien à faire.",
        ],
        (Kind::Invitation, "es") => [
            "Invitación a {org}",
            "{inviter} le invita a trabajar para {org} en Vicket. El enlace vale siete días.",
            "Aceptar la invitación",
            "Si no lo esperaba, no tiene que hacer nada.",
        ],
        (Kind::Invitation, _) => [
            "You are invited to {org}",
            "{inviter} invites you to work for {org} in Vicket. The link is good for seven days.",
            "Accept the invitation",
            "If you did not expect this, there is nothing to do.",
        ],
    };
    Words { subject, intro, link, reason }
}

/// Of mail of an account, in a language; `{about}` is filled in.
pub fn account_words(kind: AccountKind, language: &str) -> Words {
    let [subject, intro, link, reason] = match (kind, language) {
        (AccountKind::PasswordReset, "de") => [
            "Neues Passwort für Vicket",
            "Mit diesem Link wählen Sie ein neues Passwort. Er gilt 15 Minuten und einmal.",
            "Passwort wählen",
            "Sie bekommen diese Nachricht, weil jemand ein neues Passwort für diese Adresse angefordert hat. Waren Sie das \
             nicht, brauchen Sie nichts zu tun: Ihr Passwort bleibt, wie es ist.",
        ],
        (AccountKind::PasswordReset, "fr") => [
            "Nouveau mot de passe pour Vicket",
            "Ce lien vous permet de choisir un nouveau mot de passe. Il est valable 15 minutes, une seule fois.",
            "Choisir un mot de passe",
            "Vous recevez ce message parce que quelqu'un a demandé un nouveau mot de passe pour cette adresse. Si ce n'était \
             pas vous, vous n'avez rien à faire : votre mot de passe reste le même.",
        ],
        (AccountKind::PasswordReset, "es") => [
            "Nueva contraseña para Vicket",
            "Con este enlace elige una contraseña nueva. Vale 15 minutos y una sola vez.",
            "Elegir contraseña",
            "Recibe este mensaje porque alguien pidió una contraseña nueva para esta dirección. Si no fue usted, no tiene que \
             hacer nada: su contraseña sigue igual.",
        ],
        (AccountKind::PasswordReset, _) => [
            "A new password for Vicket",
            "Choose a new password with this link. It is good for 15 minutes, once.",
            "Choose a password",
            "You get this message because somebody asked for a new password for this address. If that was not you, there is \
             nothing to do: your password stays as it is.",
        ],
        (AccountKind::AddressProof, "de") => [
            "Bestätigen Sie Ihre Adresse",
            "Mit diesem Link bestätigen Sie, dass dies Ihre Adresse ist, und wählen ein Passwort. Er gilt 15 Minuten und einmal.",
            "Adresse bestätigen",
            "Sie bekommen diese Nachricht, weil jemand in Vicket mit dieser Adresse arbeitet. Waren Sie das nicht, brauchen \
             Sie nichts zu tun.",
        ],
        (AccountKind::AddressProof, "fr") => [
            "Confirmez votre adresse",
            "Ce lien confirme que cette adresse est la vôtre ; vous choisissez un mot de passe. Il est valable 15 minutes, une \
             seule fois.",
            "Confirmer l'adresse",
            "Vous recevez ce message parce que quelqu'un utilise cette adresse dans Vicket. Si ce n'est pas vous, vous n'avez \
             rien à faire.",
        ],
        (AccountKind::AddressProof, "es") => [
            "Confirme su dirección",
            "Con este enlace confirma que esta dirección es suya y elige una contraseña. Vale 15 minutos y una sola vez.",
            "Confirmar la dirección",
            "Recibe este mensaje porque alguien usa esta dirección en Vicket. Si no es usted, no tiene que hacer nada.",
        ],
        (AccountKind::AddressProof, _) => [
            "Prove your address",
            "This link proves that this address is yours, and you choose a password. It is good for 15 minutes, once.",
            "Prove the address",
            "You get this message because somebody works in Vicket by this address. If that is not you, there is nothing to do.",
        ],
        (AccountKind::PasswordChanged, "de") => [
            "Ihr Passwort wurde geändert",
            "Das Passwort Ihres Kontos bei Vicket wurde geändert. Alle anderen Anmeldungen sind beendet.",
            "Ein anderes Passwort anfordern",
            "Waren Sie das nicht, fordern Sie gleich ein anderes an.",
        ],
        (AccountKind::PasswordChanged, "fr") => [
            "Votre mot de passe a été changé",
            "Le mot de passe de votre compte Vicket a été changé. Toutes les autres sessions sont terminées.",
            "Demander un autre mot de passe",
            "Si ce n'était pas vous, demandez-en un autre tout de suite.",
        ],
        (AccountKind::PasswordChanged, "es") => [
            "Su contraseña ha cambiado",
            "La contraseña de su cuenta de Vicket ha cambiado. Todas las demás sesiones han terminado.",
            "Pedir otra contraseña",
            "Si no fue usted, pida otra enseguida.",
        ],
        (AccountKind::PasswordChanged, _) => [
            "Your password was changed",
            "The password of your Vicket account was changed. All other sessions have ended.",
            "Ask for another password",
            "If that was not you, ask for another one at once.",
        ],
        (AccountKind::NewDevice, "de") => [
            "Anmeldung von einem neuen Gerät",
            "Jemand hat sich mit Ihrem Passwort angemeldet, von wo aus Ihr Konto bisher nicht benutzt wurde: {about}.",
            "Ein anderes Passwort anfordern",
            "Waren Sie das, brauchen Sie nichts zu tun. Sonst wählen Sie gleich ein anderes Passwort.",
        ],
        (AccountKind::NewDevice, "fr") => [
            "Connexion depuis un nouvel appareil",
            "Quelqu'un s'est connecté avec votre mot de passe depuis un endroit nouveau pour votre compte : {about}.",
            "Demander un autre mot de passe",
            "Si c'était vous, vous n'avez rien à faire. Sinon, choisissez tout de suite un autre mot de passe.",
        ],
        (AccountKind::NewDevice, "es") => [
            "Inicio de sesión desde un dispositivo nuevo",
            "Alguien ha entrado con su contraseña desde un lugar nuevo para su cuenta: {about}.",
            "Pedir otra contraseña",
            "Si fue usted, no tiene que hacer nada. Si no, elija enseguida otra contraseña.",
        ],
        (AccountKind::NewDevice, _) => [
            "A log-in from a new device",
            "Somebody logged in with your password from where your account was not used before: {about}.",
            "Ask for another password",
            "If that was you, there is nothing to do. Otherwise choose another password at once.",
        ],
    };
    Words { subject, intro, link, reason }
}
