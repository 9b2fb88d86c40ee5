//! Files for people: the form that accepts an invitation, style and script of the dashboard.

pub mod docs;
pub mod sent_mail;
pub mod widget;

use crate::response_cache::CachedResponse;

/// A form's script and style are files of ours, it calls this server, and nobody frames it.
const FORM_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A file that is served as it is.
pub struct File {
    pub path: &'static str,
    pub content_type: &'static str,
    /// Its Content-Security-Policy.
    pub policy: &'static str,
    pub answer: CachedResponse,
}

/// All of them.
pub fn files() -> Vec<File> {
    let file = |path, content_type, policy, text: &str| File {
        path,
        content_type,
        policy,
        answer: CachedResponse::new(text.as_bytes().to_vec()),
    };
    let script = |path, text| file(path, "text/javascript; charset=utf-8", FILE_POLICY, text);
    vec![
        file("/invitation", "text/html; charset=utf-8", FORM_POLICY, include_str!("pages/invitation.html")),
        file("/invitation.js", "text/javascript; charset=utf-8", FILE_POLICY, include_str!("pages/invitation.js")),
        file("/invitation.css", "text/css; charset=utf-8", FILE_POLICY, include_str!("pages/invitation.css")),
        file(
            "/dashboard/assets/dashboard.css",
            "text/css; charset=utf-8",
            FILE_POLICY,
            include_str!("dashboard/assets/dashboard.css"),
        ),
        script("/dashboard/assets/dashboard.js", include_str!("dashboard/assets/dashboard.js")),
        script("/dashboard/assets/desk.js", include_str!("dashboard/assets/desk.js")),
        script("/dashboard/assets/editors.js", include_str!("dashboard/assets/editors.js")),
        // https://github.com/bigskysoftware/idiomorph, 0BSD: puts a page's new HTML in place and leaves what did not change.
        script("/dashboard/assets/idiomorph-0.8.0.min.js", include_str!("dashboard/assets/idiomorph-0.8.0.min.js")),
    ]
}
