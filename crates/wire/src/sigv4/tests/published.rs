//! The examples of the S3 and the signing guide, letter by letter.

use super::*;

#[test]
fn an_object_is_got() {
    let signed = authorization(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    let headers = format!(
        "host:examplebucket.s3.amazonaws.com
         range:bytes=0-9
         x-amz-content-sha256:{EMPTY}
         x-amz-date:20130524T000000Z
         {signed}"
    );
    let mut parts = parts("GET", "/test.txt", &headers);
    assert_eq!(scope(&parts).unwrap().unwrap().access_key_id, "AKIAIOSFODNN7EXAMPLE");
    verify_s3(&mut parts, "").unwrap();
    assert!(!parts.headers.contains_key("authorization"));
}

#[test]
fn an_object_is_put() {
    let signed = authorization(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    let headers = format!(
        "date:Fri, 24 May 2013 00:00:00 GMT
         host:examplebucket.s3.amazonaws.com
         x-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072
         x-amz-date:20130524T000000Z
         x-amz-storage-class:REDUCED_REDUNDANCY
         {signed}"
    );
    let body = verify_s3(&mut parts("PUT", "/test$file.text", &headers), "Welcome to Amazon S3.").unwrap();
    assert_eq!(read(body).unwrap(), b"Welcome to Amazon S3.");
}

#[test]
fn sub_resources_and_lists_are_got() {
    for (uri, signature) in [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ] {
        let signed = authorization("host;x-amz-content-sha256;x-amz-date", signature);
        let headers = format!(
            "host:examplebucket.s3.amazonaws.com
             x-amz-content-sha256:{EMPTY}
             x-amz-date:20130524T000000Z
             {signed}"
        );
        verify_s3(&mut parts("GET", uri, &headers), "").unwrap();
    }
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
    &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn a_presigned_address_is_got_until_it_expires() {
    let presigned = || parts("GET", PRESIGNED, "host:examplebucket.s3.amazonaws.com");
    let at = |ms| verify(&mut presigned(), &credential(), &Rules { now_ms: NOW_MS + ms, ..rules() }, raw(""));
    assert!(at(0).is_ok());
    assert!(at(86_400_000).is_ok());
    assert_eq!(at(86_401_000).unwrap_err().kind, AuthErrorKind::Expired);
    assert_eq!(at(-16 * 60_000).unwrap_err().kind, AuthErrorKind::Skewed);
}

#[test]
fn a_presigned_address_is_no_key_to_other_objects_or_methods() {
    for (method, uri) in [("PUT", PRESIGNED.to_owned()), ("GET", PRESIGNED.replace("test", "best"))] {
        let mut parts = parts(method, &uri, "host:examplebucket.s3.amazonaws.com");
        assert_eq!(verify_s3(&mut parts, "").unwrap_err().kind, AuthErrorKind::Mismatch);
    }
    for (expires, kind) in [
        ("604801", AuthErrorKind::Mismatch),
        ("0", AuthErrorKind::Mismatch),
        ("-1", AuthErrorKind::MalformedQuery),
    ] {
        let uri = PRESIGNED.replace("86400", expires);
        let mut parts = parts("GET", &uri, "host:examplebucket.s3.amazonaws.com");
        assert_eq!(verify_s3(&mut parts, "").unwrap_err().kind, kind);
    }
}

// Source: the signing guide's example, ListUsers of IAM.
#[test]
fn users_are_listed() {
    let headers = "content-type:application/x-www-form-urlencoded; charset=utf-8
        host:iam.amazonaws.com
        x-amz-date:20150830T123600Z
        authorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date, \
        Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned();
    let credential = Credential { secret_access_key, session_token: None };
    // IAM's requests are signed for us-east-1 wherever the server is.
    let rules = Rules { now_ms: 1_440_938_160_000, region: "eu-central-1" };
    let mut parts = parts("GET", "/?Action=ListUsers&Version=2010-05-08", headers);
    verify_whole(&mut parts, &credential, &rules, &Bytes::new()).unwrap();
}
