//! What mail says, in the languages of sites. `{reference}`, `{site}`, `{org}`, `{customer}`, `{author}` and `{inviter}` are filled in.

use crate::store::mails::Kind;

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
        (Kind::Invitation, _) => [
            "You are invited to {org}",
            "{inviter} invites you to work for {org} in Vicket. The link is good for seven days.",
            "Accept the invitation",
            "If you did not expect this, there is nothing to do.",
        ],
    };
    Words { subject, intro, link, reason }
}
