//! The launcher for pages of other origins: `/v1/widget.js`, and the same under a path of its own for each of its versions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256, Sha384};

use crate::response_cache::CachedResponse;

/// Built from the front-end kit by `just client`.
const SCRIPT: &str = include_str!("widget/widget.js");
/// The path that always has the script of this server.
pub const ALIAS: &str = "/v1/widget.js";

/// Which script is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// This very one.
    Version,
    /// Whichever there is. One of a version that this server does not have is answered so, too: the pages that name it
    /// without a hash go on working when the server is replaced.
    Any,
}

/// The script, and what it is called by.
pub struct Widget {
    pub answer: CachedResponse,
    versioned: String,
}

impl Default for Widget {
    fn default() -> Self {
        Self { answer: CachedResponse::new(SCRIPT.into()), versioned: path() }
    }
}

impl Widget {
    /// Which of its paths this is.
    pub fn asked(&self, path: &str) -> Option<Asked> {
        if path == self.versioned {
            return Some(Asked::Version);
        }
        is_path(path).then_some(Asked::Any)
    }
}

/// Whether a path is one of the launcher's, of any version.
pub fn is_path(path: &str) -> bool {
    let version = path.strip_prefix("/v1/widget-").and_then(|rest| rest.strip_suffix(".js"));
    path == ALIAS
        || version.is_some_and(|version| !version.is_empty() && version.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// The path of this version, which is kept for good.
pub fn path() -> String {
    let digest = Sha256::digest(SCRIPT.as_bytes());
    let version: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("/v1/widget-{version}.js")
}

/// What a page says of the script that it expects, as `integrity`.
pub fn integrity() -> String {
    format!("sha384-{}", STANDARD.encode(Sha384::digest(SCRIPT.as_bytes())))
}

/// The tag for a page: of this very script, or of whichever there is.
pub fn tag(server: &str, key: &str, pinned: bool) -> String {
    let server = server.trim_end_matches('/');
    if pinned {
        let (path, integrity) = (path(), integrity());
        format!(
            "<script src=\"{server}{path}\" integrity=\"{integrity}\" crossorigin data-key=\"{key}\" async></script>"
        )
    } else {
        format!("<script src=\"{server}{ALIAS}\" data-key=\"{key}\" async></script>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versioned_path_is_that_of_the_text_and_others_are_answered_with_what_there_is() {
        let widget = Widget::default();
        assert_eq!(widget.asked(&path()), Some(Asked::Version));
        assert_eq!(widget.asked(ALIAS), Some(Asked::Any));
        assert_eq!(widget.asked("/v1/widget-0123456789ab.js"), Some(Asked::Any));
        for other in ["/v1/widget-.js", "/v1/widget-../../x.js", "/v1/widget", "/v1/widgets.js"] {
            assert_eq!(widget.asked(other), None, "{other}");
        }
    }
}
