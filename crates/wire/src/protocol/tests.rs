use super::*;
use crate::sigv4::AuthErrorKind;
use model::ErrorKind;

fn body(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn json_errors_name_their_type_in_the_body() {
    let error = Error::new(ErrorKind::NotFound, "Could not find it.");
    let response = Protocol::Json11.error(&error, "id");
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-requestid"], "id");
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    assert_eq!(body(&response), r#"{"__type":"ResourceNotFoundException","message":"Could not find it."}"#);
}

#[test]
fn rest_json_errors_have_a_status_and_a_header() {
    for (kind, status, code) in [
        (ErrorKind::Invalid, 400, "InvalidInputException"),
        (ErrorKind::NotFound, 404, "ResourceNotFoundException"),
        (ErrorKind::InUse, 409, "ResourceInUseException"),
        (ErrorKind::Denied, 403, "AccessDeniedException"),
        (ErrorKind::Throttled, 400, "ThrottlingException"),
        (ErrorKind::Unavailable, 503, "ServiceUnavailableException"),
    ] {
        let response = Protocol::RestJson.error(&Error::new(kind, "m"), "id");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-amzn-errortype"]),
            (status, &code.parse().unwrap())
        );
        assert!(body(&response).contains(code));
    }
}

#[test]
fn faults_of_the_server_hide_their_details() {
    for protocol in [Protocol::Json11, Protocol::RestJson, Protocol::Query, Protocol::S3] {
        for kind in [ErrorKind::Corrupt, ErrorKind::Internal] {
            let response = protocol.error(&Error::new(kind, "run 7 at /var/lib"), "id");
            assert_eq!(response.status(), 500);
            assert!(!body(&response).contains("/var/lib"));
        }
    }
}

#[test]
fn xml_errors_escape_their_text() {
    let error = Error::invalid("<&\"\u{0}>");
    let response = Protocol::Query.error(&error, "id");
    assert_eq!(
        body(&response),
        "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>&lt;&amp;&quot; &gt;</Message>\
         </Error><RequestId>id</RequestId></ErrorResponse>"
    );
}

#[test]
fn refusals_have_the_codes_of_their_protocol() {
    let refused = |kind, protocol: Protocol| {
        let fault = Fault::refusal(&AuthError::new(kind, "m"), protocol);
        (fault.code, fault.status.as_u16())
    };
    assert_eq!(refused(AuthErrorKind::UnknownKey, Protocol::Json11), ("UnrecognizedClientException", 400));
    assert_eq!(refused(AuthErrorKind::UnknownKey, Protocol::RestJson), ("UnrecognizedClientException", 403));
    assert_eq!(refused(AuthErrorKind::UnknownKey, Protocol::Query), ("InvalidClientTokenId", 403));
    assert_eq!(refused(AuthErrorKind::UnknownKey, Protocol::S3), ("InvalidAccessKeyId", 403));
    assert_eq!(refused(AuthErrorKind::Skewed, Protocol::S3), ("RequestTimeTooSkewed", 403));
    assert_eq!(refused(AuthErrorKind::Mismatch, Protocol::Json11), ("InvalidSignatureException", 400));
}

#[test]
fn s3_names_the_region_to_sign_for() {
    let error = AuthError {
        expected_region: Some("eu-west-1".into()),
        ..AuthError::new(AuthErrorKind::WrongRegion, "m")
    };
    let response = Protocol::S3.refusal(&error, "id");
    assert!(
        body(&response).contains(
            "<Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region>"
        )
    );
    assert_eq!(response.headers()["x-amz-request-id"], "id");
}
