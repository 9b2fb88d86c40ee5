//! Passwords of databases' logins and of the demo's people.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng as _, rngs::SysRng};

/// 24 characters of base64url: 18 random bytes.
///
/// # Errors
/// When the system has no random bytes.
pub fn random() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 18];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
