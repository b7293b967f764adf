//! The operations of KMS that this server knows by name only. Source: the service model (2014-11-01).

#[rustfmt::skip]
pub(super) static NAMES: [&str; 27] = [
    "ConnectCustomKeyStore", "CreateCustomKeyStore", "Decapsulate", "DeleteCustomKeyStore",
    "DeleteImportedKeyMaterial", "DeriveSharedSecret", "DescribeCustomKeyStores", "DisableKeyRotation",
    "DisconnectCustomKeyStore", "EnableKeyRotation", "Encapsulate", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "GetKeyLastUsage", "GetParametersForImport",
    "GetPublicKey", "ImportKeyMaterial", "ListKeyRotations", "ListRetirableGrants", "ReplicateKey",
    "RotateKeyOnDemand", "Sign", "UpdateCustomKeyStore", "UpdatePrimaryRegion", "Verify", "VerifyMac",
];
