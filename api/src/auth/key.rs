//! API keys as clients hold them: `ws_<id>_<secret>`, made from the system's randomness, kept as a hash.

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};

const PREFIX: &str = "ws";
/// Bytes of the public part.
const ID: usize = 8;
/// Bytes of the secret: 256 bits.
const SECRET: usize = 32;

/// A new key. `token` is the only place where the secret stands.
pub(crate) struct Minted {
    /// Public, 16 hexadecimal digits.
    pub(crate) id: String,
    /// BLAKE3 of the secret's 32 bytes.
    pub(crate) hash: [u8; 32],
    /// What the client keeps.
    pub(crate) token: String,
}

/// Makes a key.
pub(crate) fn mint() -> anyhow::Result<Minted> {
    mint_as(PREFIX, None)
}

/// Makes a credential of the same form that begins with another prefix, under an id that is there already if one is given.
pub(crate) fn mint_as(prefix: &str, id: Option<&str>) -> anyhow::Result<Minted> {
    let mut bytes = [0; ID + SECRET];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system gives no random bytes"))?;
    let (made, secret) = bytes.split_at(ID);
    let id = id.map_or_else(|| hex(made), str::to_owned);
    Ok(Minted { hash: *blake3::hash(secret).as_bytes(), token: format!("{prefix}_{id}_{}", hex(secret)), id })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A credential that has the form of a key.
pub(crate) struct Presented<'t> {
    pub(crate) id: &'t str,
    secret: [u8; SECRET],
}

impl Presented<'_> {
    /// Whether its secret has this hash; takes the same time whatever the answer.
    pub(crate) fn is_of(&self, hash: &[u8; 32]) -> bool {
        // `blake3::Hash` compares in constant time.
        blake3::hash(&self.secret) == blake3::Hash::from_bytes(*hash)
    }

    /// BLAKE3 of its secret.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.secret).as_bytes()
    }
}

/// Reads a key; `None` for anything of another form.
pub(crate) fn parse(token: &str) -> Option<Presented<'_>> {
    parse_as(PREFIX, token)
}

/// Reads a credential of the same form that begins with another prefix.
pub(crate) fn parse_as<'t>(expected: &str, token: &'t str) -> Option<Presented<'t>> {
    let mut parts = token.splitn(3, '_');
    let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |text: &str, bytes: usize| {
        text.len() == 2 * bytes && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if prefix != expected || !plain(id, ID) || !plain(secret, SECRET) {
        return None;
    }
    let mut bytes = [0; SECRET];
    for (byte, digits) in bytes.iter_mut().zip(secret.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Presented { id, secret: bytes })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_minted_key_is_read_back() {
        let Minted { id, hash, token } = mint().unwrap();
        let read = parse(&token).unwrap();
        assert_eq!((read.id, read.is_of(&hash)), (id.as_str(), true));
        assert_eq!(token.len(), "ws_".len() + 16 + 1 + 64);
        assert!(!read.is_of(&[0; 32]));
        let ids: BTreeSet<String> = (0..100).map(|_| mint().unwrap().token).collect();
        assert_eq!(ids.len(), 100);
    }

    #[test]
    fn other_forms_are_no_keys() {
        let token = mint().unwrap().token;
        let cases = [
            String::new(),
            "ws".to_owned(),
            "ws__".to_owned(),
            token.replacen("ws_", "wx_", 1),
            token.to_uppercase(),
            format!("{token}\u{0}"),
            format!(" {token}"),
            token[..token.len() - 2].to_owned(),
            token.replacen('_', "", 1),
            token.replace(|c: char| c.is_ascii_digit(), "é"),
        ];
        for case in cases {
            assert!(parse(&case).is_none(), "{case}");
        }
    }
}
