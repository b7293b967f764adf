//! Virtual-host addresses: which part of a Host header is a bucket.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The names under which this server is reached; what stands before one of them is a bucket.
///
/// A host that is none of them is taken for the server itself, with path-style addresses.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// `localhost` is always among the names.
    pub fn new(public_hosts: &[String]) -> Hosts {
        let mut names = vec!["localhost".to_owned()];
        names.extend(public_hosts.iter().map(|host| without_port(host).to_ascii_lowercase()));
        // The longest name first, so that a bucket is never taken for a part of the name.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Hosts { names }
    }

    /// The bucket in a Host header, in lower case.
    pub fn bucket(&self, host: &str) -> Option<String> {
        let host = without_port(host).to_ascii_lowercase();
        if self.names.contains(&host) {
            return None;
        }
        let bucket =
            self.names.iter().find_map(|name| host.strip_suffix(name.as_str())?.strip_suffix('.'))?;
        (!bucket.is_empty()).then(|| bucket.to_owned())
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_before_a_name_of_the_server() {
        let hosts = Hosts::new(&["s3.example.org".to_owned(), "Example.org:8080".to_owned()]);
        for (host, bucket) in [
            ("data.localhost:8080", Some("data")),
            ("Data.LOCALHOST", Some("data")),
            ("a.b.s3.example.org", Some("a.b")),
            ("s3.example.org", None),
            ("data.example.org", Some("data")),
            ("localhost", None),
            ("other.test", None),
            ("127.0.0.1:8080", None),
            ("[::1]:8080", None),
        ] {
            assert_eq!(hosts.bucket(host).as_deref(), bucket, "{host}");
        }
    }
}
