//! Uploads in chunks: the published examples, and every way of getting the framing wrong.

use super::super::chunked::Chunked;
use super::super::trailer::Announced;
use super::*;

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHUNKS: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];
const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
const TRAILER_CHUNKS: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\n\
    x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";

/// 65 KiB of the letter a, framed as in the guide: 64 KiB, 1 KiB, nothing, and the trailer.
fn framed(signatures: [&str; 3], trailer: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (signature, size) in signatures.iter().zip([65536, 1024, 0]) {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        if size > 0 {
            body.extend(std::iter::repeat_n(b'a', size));
            body.extend_from_slice(b"\r\n");
        }
    }
    body.extend_from_slice(trailer.as_bytes());
    body.extend_from_slice(b"\r\n");
    body
}

fn signed_parts() -> Parts {
    let signed = authorization(
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
         x-amz-storage-class",
        SEED,
    );
    let headers = format!(
        "content-encoding:aws-chunked
         content-length:66824
         host:s3.amazonaws.com
         x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD
         x-amz-date:20130524T000000Z
         x-amz-decoded-content-length:66560
         x-amz-storage-class:REDUCED_REDUNDANCY
         {signed}"
    );
    parts("PUT", "/examplebucket/chunkObject.txt", &headers)
}

fn trailer_parts() -> Parts {
    let signed = authorization(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
         x-amz-trailer",
        TRAILER_SEED,
    );
    let headers = format!(
        "content-encoding:aws-chunked
         host:s3.amazonaws.com
         x-amz-content-sha256:STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
         x-amz-date:20130524T000000Z
         x-amz-decoded-content-length:66560
         x-amz-storage-class:REDUCED_REDUNDANCY
         x-amz-trailer:x-amz-checksum-crc32c
         {signed}"
    );
    parts("PUT", "/examplebucket/chunkObject.txt", &headers)
}

fn kind(parts: &mut Parts, body: Vec<u8>) -> Option<BodyErrorKind> {
    read(verify_s3(parts, body).unwrap()).err().map(|e| e.kind)
}

#[test]
fn signed_chunks_are_joined() {
    let mut parts = signed_parts();
    let body = verify_s3(&mut parts, framed(CHUNKS, "")).unwrap();
    assert_eq!(body.size_hint().exact(), Some(66560));
    assert_eq!(read(body).unwrap(), vec![b'a'; 66560]);
    assert_eq!(parts.headers["content-length"], "66560");
    assert!(!parts.headers.contains_key("content-encoding"));
}

#[test]
fn a_signed_trailer_is_handed_over() {
    let mut parts = trailer_parts();
    let body = verify_s3(&mut parts, framed(TRAILER_CHUNKS, TRAILER)).unwrap();
    let trailers = parts.extensions.get::<Trailers>().unwrap();
    assert!(trailers.0.get().is_none());
    assert_eq!(read(body).unwrap().len(), 66560);
    assert_eq!(trailers.0.get().unwrap()["x-amz-checksum-crc32c"], "sOO8/Q==");
}

#[test]
fn a_chunk_that_was_changed_is_refused_before_its_end() {
    let mut body = framed(CHUNKS, "");
    body[40_000] ^= 1;
    assert_eq!(kind(&mut signed_parts(), body), Some(BodyErrorKind::SignatureMismatch));
    let other_order = [CHUNKS[1], CHUNKS[0], CHUNKS[2]];
    assert_eq!(kind(&mut signed_parts(), framed(other_order, "")), Some(BodyErrorKind::SignatureMismatch));
}

#[test]
fn a_trailer_that_was_changed_is_refused() {
    for (from, to, wanted) in [
        ("sOO8", "tOO8", BodyErrorKind::SignatureMismatch),
        ("d81f", "d81e", BodyErrorKind::SignatureMismatch),
        ("crc32c", "crc32", BodyErrorKind::SignatureMismatch),
        ("x-amz-trailer-signature", "x-amz-other", BodyErrorKind::SignatureMismatch),
    ] {
        let body = framed(TRAILER_CHUNKS, &TRAILER.replace(from, to));
        assert_eq!(kind(&mut trailer_parts(), body), Some(wanted), "{to}");
    }
    assert_eq!(
        kind(&mut trailer_parts(), framed(TRAILER_CHUNKS, "")),
        Some(BodyErrorKind::SignatureMismatch)
    );
    assert_eq!(kind(&mut signed_parts(), framed(CHUNKS, TRAILER)), Some(BodyErrorKind::Malformed));
}

#[test]
fn a_body_cut_off_anywhere_is_refused() {
    let whole = framed(TRAILER_CHUNKS, TRAILER);
    for end in (0..200).chain(65_600..65_800).chain(66_700..whole.len() - 4) {
        let read = read(verify_s3(&mut trailer_parts(), whole[..end].to_vec()).unwrap());
        assert!(read.is_err(), "cut at {end}");
    }
}

/// Unsigned chunks of `body`, with a decoded length of 10.
fn unsigned(body: &str) -> Result<Vec<u8>, BodyError> {
    let mut parts = parts("PUT", "/b/k", "x-amz-trailer: x-amz-checksum-crc32");
    let announced = Announced::of(&parts).ok();
    parts.headers.clear();
    let chunked = Chunked::new(10, None, announced, Trailers::default());
    read(Body::chunked(raw(body.to_owned()), chunked))
}

#[test]
fn unsigned_chunks_need_their_checksum() {
    let sum = "x-amz-checksum-crc32:poTHxg==\r\n\r\n";
    assert_eq!(unsigned(&format!("a\r\n0123456789\r\n0\r\n{sum}")).unwrap(), b"0123456789");
    assert_eq!(unsigned(&format!("4\r\n0123\r\n6\r\n456789\r\n0\r\n{sum}")).unwrap(), b"0123456789");
    let changed = unsigned(&format!("a\r\n0123456780\r\n0\r\n{sum}")).unwrap_err();
    assert_eq!(changed.kind, BodyErrorKind::ChecksumMismatch);
}

#[test]
fn broken_framing_is_refused() {
    let sum = "x-amz-checksum-crc32:poTHxg==\r\n\r\n";
    for body in [
        "",
        "0\r\n\r\n",
        "\r\n",
        "-1\r\n",
        "+a\r\n",
        "a\n0123456789\r\n0\r\n",
        "a \r\n0123456789\r\n0\r\n",
        "a;x=y\r\n0123456789\r\n0\r\n",
        "b\r\n0123456789a\r\n0\r\n",
        "a\r\n0123456789X\r\n0\r\n",
        "a\r\n01234567890\r\n",
        "5\r\n01234\r\n0\r\n",
        "ffffffffffffffff\r\n",
        "fffffffffffffffff\r\n",
        "a\r\n0123456789\r\n",
        "a\r\n0123456789\r\n0\r\n",
        "a\r\n0123456789\r\n0\r\nnonsense\r\n",
    ] {
        assert!(unsigned(body).is_err(), "{body:?}");
    }
    assert!(unsigned(&format!("a\r\n0123456789\r\n0\r\n{sum}{sum}")).is_err());
    assert!(unsigned(&format!("{}a\r\n0123456789\r\n0\r\n{sum}", "0".repeat(300))).is_err());
    assert!(unsigned(&format!("a\r\n0123456789\r\n0\r\n{}", "x".repeat(1 << 16))).is_err());
}

#[test]
fn other_modes_are_refused() {
    for mode in [
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD",
        "",
        "abc",
        "unsigned-payload",
    ] {
        let mut parts = signed_parts();
        parts.headers.insert("x-amz-content-sha256", mode.parse().unwrap());
        assert_eq!(verify_s3(&mut parts, "").unwrap_err().kind, AuthErrorKind::UnknownPayload, "{mode}");
    }
}
