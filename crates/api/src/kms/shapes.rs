//! Shapes that many operations of KMS share. Source: the service model of KMS (2014-11-01).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use wire::shape::{Member, Pattern, Shape, Structure, broken, list, matching, optional, required, text};

static MARKER: Pattern = Pattern::new(r"[\x{20}-\x{FF}]*");
static POLICY: Pattern = Pattern::new(r"[\x{09}\x{0A}\x{0D}\x{20}-\x{FF}]+");
static POLICY_NAME: Pattern = Pattern::new(r"[\w]+");
static ALIAS: Pattern = Pattern::new(r"^[a-zA-Z0-9:/_-]+$");
static TOKEN: Shape = text(1, 8192);

pub const fn key_id() -> Shape {
    text(1, 2048)
}

pub const fn alias_name() -> Shape {
    matching(1, 256, &ALIAS)
}

pub const fn policy() -> Shape {
    matching(1, 131_072, &POLICY)
}

pub const fn policy_name() -> Shape {
    matching(1, 128, &POLICY_NAME)
}

pub const fn limit() -> Member {
    optional("Limit", Shape::Integer { min: 1, max: 1000 })
}

pub const fn marker() -> Member {
    optional("Marker", matching(1, 1024, &MARKER))
}

pub const fn grant_tokens() -> Member {
    optional("GrantTokens", list(0, 10, &TOKEN))
}

pub const fn algorithm(name: &'static str) -> Member {
    optional(name, Shape::Enum(&["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"]))
}

/// Base64; how many bytes there may be is checked when they are decoded.
pub const fn blob() -> Shape {
    text(0, 16_384)
}

/// A request that names a key and nothing else.
pub static KEY: Structure = Structure::new(&[required("KeyId", key_id())]);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ByKey {
    pub key_id: String,
}

/// Bytes, which are Base64 on the wire.
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// # Errors
    /// `Invalid` when there is none, or more than `most` bytes.
    pub fn checked(self, member: &str, most: usize) -> Result<Vec<u8>> {
        match self.0.len() {
            0 => Err(broken(None, member, "Member must have length greater than or equal to 1")),
            n if n > most => {
                let rule = format!("Member must have length less than or equal to {most}");
                Err(broken(None, member, &rule))
            }
            _ => Ok(self.0),
        }
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Blob).map_err(|_| D::Error::custom("a blob is no Base64"))
    }
}
