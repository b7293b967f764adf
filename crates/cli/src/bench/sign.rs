//! Signs calls cheaply: the key is derived once a day, the text around it once a second.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::client::server::Server;

const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Writes signed POST requests of one path.
pub struct Signer {
    server: Server,
    path: &'static str,
    signed_headers: &'static str,
    second: i64,
    /// Made anew each second.
    stamp: Stamp,
}

struct Stamp {
    /// `20130524T000000Z`.
    date: String,
    /// Day, region, service, and how scopes end.
    scope: String,
    key: Hmac<Sha256>,
    /// The canonical request up to the hash of its body.
    canonical: String,
}

impl Signer {
    pub fn new(server: Server, path: &'static str, now_ms: i64) -> Signer {
        let signed_headers = match server.session_token {
            None => "content-type;host;x-amz-date",
            Some(_) => "content-type;host;x-amz-date;x-amz-security-token",
        };
        let second = now_ms.div_euclid(1000);
        let stamp = Stamp::new(&server, path, signed_headers, second);
        Signer { server, path, signed_headers, second, stamp }
    }

    /// Replaces `out` by a whole request with this body.
    pub fn write(&mut self, body: &[u8], now_ms: i64, out: &mut Vec<u8>) {
        let second = now_ms.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.stamp = Stamp::new(&self.server, self.path, self.signed_headers, second);
        }
        let signature = self.stamp.sign(body);
        let Server { authority, access_key_id, session_token, .. } = &self.server;
        let Stamp { date, scope, .. } = &self.stamp;
        out.clear();
        for part in [
            "POST ",
            self.path,
            " HTTP/1.1\r\nhost: ",
            authority,
            "\r\ncontent-type: application/json\r\nx-amz-date: ",
            date,
            "\r\nauthorization: AWS4-HMAC-SHA256 Credential=",
            access_key_id,
            "/",
            scope,
            ", SignedHeaders=",
            self.signed_headers,
            ", Signature=",
            &signature,
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(token) = session_token {
            out.extend_from_slice(b"\r\nx-amz-security-token: ");
            out.extend_from_slice(token.as_bytes());
        }
        out.extend_from_slice(format!("\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    }
}

impl Stamp {
    fn new(server: &Server, path: &str, signed_headers: &str, second: i64) -> Stamp {
        let at = OffsetDateTime::from_unix_timestamp(second).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let date = at.format(BASIC).unwrap_or_default();
        let day = date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/personalize/aws4_request", server.region);
        let token = server.session_token.as_ref();
        let token = token.map(|token| format!("x-amz-security-token:{token}\n")).unwrap_or_default();
        let canonical = format!(
            "POST\n{path}\n\ncontent-type:application/json\nhost:{}\nx-amz-date:{date}\n{token}\n{signed_headers}\n",
            server.authority
        );
        let mut key = format!("AWS4{}", server.secret_access_key).into_bytes();
        for part in scope.split('/') {
            key = mac(&key).chain_update(part).finalize().into_bytes().to_vec();
        }
        Stamp { scope, key: mac(&key), canonical, date }
    }

    fn sign(&self, body: &[u8]) -> String {
        let mut canonical = Sha256::new_with_prefix(&self.canonical);
        canonical.update(hex::encode(Sha256::digest(body)));
        let mut signature = self.key.clone();
        for part in ["AWS4-HMAC-SHA256\n", &self.date, "\n", &self.scope, "\n"] {
            signature.update(part.as_bytes());
        }
        signature.update(hex::encode(canonical.finalize()).as_bytes());
        hex::encode(signature.finalize().into_bytes())
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;

    use super::*;

    const BODY: &[u8] = br#"{"a":1}"#;

    fn server(token: Option<&str>) -> Server {
        Server {
            authority: "127.0.0.1:8080".into(),
            told_by: String::new(),
            is_secure: false,
            ca_file: None,
            region: "eu-west-1".into(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "secret/+".into(),
            session_token: token.map(str::to_owned),
        }
    }

    /// The signature of the SDKs' own signer.
    fn reference(server: &Server, path: &str, second: u64) -> String {
        let Server { access_key_id: id, secret_access_key: secret, session_token: token, .. } = server;
        let identity = Credentials::new(id, secret, token.clone(), None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&server.region)
            .name("personalize")
            .time(UNIX_EPOCH + Duration::from_secs(second))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{path}", server.authority);
        let headers = [("content-type", "application/json")].into_iter();
        let signable = SignableRequest::new("POST", uri, headers, SignableBody::Bytes(BODY)).unwrap();
        sign(signable, &parameters).unwrap().signature().to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_sdks() {
        for token in [None, Some("token==")] {
            let server = server(token);
            let (mut signer, mut out) = (Signer::new(server.clone(), "/events", 0), Vec::new());
            for second in [1_700_000_000, 1_700_000_001, 1_700_100_000] {
                signer.write(BODY, second * 1000 + 7, &mut out);
                let expected = format!("Signature={}\r\n", reference(&server, "/events", second as u64));
                let text = String::from_utf8(out.clone()).unwrap();
                assert!(text.contains(&expected), "{text}");
                assert!(text.ends_with("\r\ncontent-length: 7\r\n\r\n{\"a\":1}"));
            }
        }
    }
}
