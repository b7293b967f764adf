//! The operations of IAM and STS that this server knows by name only.
//!
//! Source: the service models of IAM (2010-05-08) and STS (2011-06-15).

#[rustfmt::skip]
pub(super) static IAM: [&str; 108] = [
    "AcceptDelegationRequest", "AddClientIDToOpenIDConnectProvider", "AddRoleToInstanceProfile",
    "AssociateDelegationRequest", "ChangePassword",
    "CreateAccountAlias", "CreateDelegationRequest", "CreateInstanceProfile",
    "CreateLoginProfile", "CreateOpenIDConnectProvider", "CreateSAMLProvider",
    "CreateServiceLinkedRole", "CreateServiceSpecificCredential", "CreateVirtualMFADevice",
    "DeactivateMFADevice", "DeleteAccountAlias", "DeleteAccountPasswordPolicy",
    "DeleteInstanceProfile", "DeleteLoginProfile", "DeleteOpenIDConnectProvider",
    "DeleteRolePermissionsBoundary", "DeleteSAMLProvider", "DeleteSSHPublicKey",
    "DeleteServerCertificate", "DeleteServiceLinkedRole", "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate", "DeleteUserPermissionsBoundary", "DeleteVirtualMFADevice",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions", "DisableOutboundWebIdentityFederation", "EnableMFADevice",
    "EnableOrganizationsRootCredentialsManagement", "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation", "GenerateCredentialReport", "GenerateOrganizationsAccessReport",
    "GenerateServiceLastAccessedDetails", "GetAccountAuthorizationDetails",
    "GetAccountPasswordPolicy", "GetAccountSummary", "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy", "GetCredentialReport", "GetDelegationRequest",
    "GetHumanReadableSummary", "GetInstanceProfile", "GetLoginProfile", "GetMFADevice",
    "GetOpenIDConnectProvider", "GetOrganizationsAccessReport", "GetOutboundWebIdentityFederationInfo",
    "GetSAMLProvider", "GetSSHPublicKey", "GetServerCertificate", "GetServiceLastAccessedDetails",
    "GetServiceLastAccessedDetailsWithEntities", "GetServiceLinkedRoleDeletionStatus", "ListAccountAliases",
    "ListDelegationRequests",
    "ListInstanceProfileTags", "ListInstanceProfiles",
    "ListMFADeviceTags", "ListMFADevices", "ListOpenIDConnectProviderTags", "ListOpenIDConnectProviders",
    "ListOrganizationsFeatures", "ListPoliciesGrantingServiceAccess",
    "ListSAMLProviderTags", "ListSAMLProviders", "ListSSHPublicKeys", "ListServerCertificateTags",
    "ListServerCertificates", "ListServiceSpecificCredentials", "ListSigningCertificates",
    "ListVirtualMFADevices", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary",
    "RejectDelegationRequest", "RemoveClientIDFromOpenIDConnectProvider", "RemoveRoleFromInstanceProfile",
    "ResetServiceSpecificCredential", "ResyncMFADevice", "SendDelegationToken",
    "SetSecurityTokenServicePreferences",
    "TagInstanceProfile", "TagMFADevice", "TagOpenIDConnectProvider",
    "TagSAMLProvider", "TagServerCertificate", "UntagInstanceProfile",
    "UntagMFADevice", "UntagOpenIDConnectProvider", "UntagSAMLProvider",
    "UntagServerCertificate", "UpdateAccountPasswordPolicy", "UpdateDelegationRequest",
    "UpdateLoginProfile", "UpdateOpenIDConnectProviderThumbprint",
    "UpdateSAMLProvider", "UpdateSSHPublicKey", "UpdateServerCertificate",
    "UpdateServiceSpecificCredential", "UpdateSigningCertificate", "UploadSSHPublicKey",
    "UploadServerCertificate", "UploadSigningCertificate",
];

#[rustfmt::skip]
pub(super) static STS: [&str; 8] = [
    "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot",
    "DecodeAuthorizationMessage", "GetAccessKeyInfo", "GetDelegatedAccessToken", "GetFederationToken",
    "GetWebIdentityToken",
];
