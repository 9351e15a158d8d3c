// Answers for TLS contexts and secrets (Envoy: extensions.transport_sockets.tls.v3).

import { type FieldTable, fields, harmless, honoured, honouredExcept, rejected, warned } from './answer.ts';

const TLS = 'envoy.extensions.transport_sockets.tls.v3.';
const TEST = 'lower-tls';
const COMMON = 'tls.v3 common.proto';
const SECRET = 'tls.v3 secret.proto';
const NO_PROVIDER = 'certificate providers are not supported; use tls_certificates and validation_context, or secrets';
const NO_SDS = 'secrets cannot be asked for over the network yet; use static secrets or a file';
const OLD_VERSION = { how: 'warn', text: 'TLS 1.2 is the lowest that is spoken' } as const;
const OLD_HIGHEST = { how: 'reject', text: 'TLS below 1.2 is not supported; use TLSv1_2' } as const;

export const TLS_FIELDS: FieldTable = {
  [`${TLS}DownstreamTlsContext`]: fields(
    honoured(
      TEST,
      'common_tls_context ocsp_staple_policy require_client_certificate session_ticket_keys session_ticket_keys_sds_secret_config disable_stateless_session_resumption disable_stateful_session_resumption session_timeout full_scan_certs_on_sni_mismatch prefer_client_ciphers',
    ),
    harmless(
      'clients without a server name are served whatever it says (seen on 1.40, TLS 1.2 and 1.3)',
      'tls.v3 tls.proto',
      'require_sni',
    ),
  ),
  [`${TLS}UpstreamTlsContext`]: fields(
    honoured(TEST, 'common_tls_context sni auto_host_sni auto_sni_san_validation allow_renegotiation max_session_keys'),
    harmless(
      'key usage is always enforced, whatever it says (seen on 1.40)',
      'tls.v3 tls.proto',
      'enforce_rsa_key_usage',
    ),
  ),
  [`${TLS}CommonTlsContext`]: fields(
    honoured(
      TEST,
      'tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config combined_validation_context alpn_protocols key_log',
    ),
    rejected(
      NO_PROVIDER,
      'tls_certificate_provider_instance tls_certificate_certificate_provider tls_certificate_certificate_provider_instance validation_context_certificate_provider validation_context_certificate_provider_instance',
    ),
    rejected('certificates are selected by server name and key type; remove it', 'custom_tls_certificate_selector'),
    rejected('there is one handshaker; remove it', 'custom_handshaker'),
  ),
  [`${TLS}CommonTlsContext.CombinedCertificateValidationContext`]: fields(
    honoured(TEST, 'default_validation_context validation_context_sds_secret_config'),
    rejected(NO_PROVIDER, 'validation_context_certificate_provider validation_context_certificate_provider_instance'),
  ),
  [`${TLS}TlsParameters`]: fields(
    honouredExcept(TEST, 'tls_minimum_protocol_version', { TLSv1_0: OLD_VERSION, TLSv1_1: OLD_VERSION }),
    honouredExcept(TEST, 'tls_maximum_protocol_version', { TLSv1_0: OLD_HIGHEST, TLSv1_1: OLD_HIGHEST }),
    honoured(TEST, 'cipher_suites ecdh_curves signature_algorithms'),
    rejected('policies are BoringSSL’s; name cipher_suites and ecdh_curves', 'compliance_policies'),
  ),
  [`${TLS}TlsCertificate`]: fields(
    honoured(TEST, 'certificate_chain private_key pkcs12 password watched_directory ocsp_staple'),
    rejected('private key providers are not supported; use private_key', 'private_key_provider'),
    harmless('Envoy 1.40 does not read it', COMMON, 'signed_certificate_timestamp tls_params'),
  ),
  [`${TLS}CertificateValidationContext`]: fields(
    honoured(
      TEST,
      'trusted_ca system_root_certs watched_directory verify_certificate_spki verify_certificate_hash match_typed_subject_alt_names match_subject_alt_names crl allow_expired_certificate trust_chain_verification custom_validator_config only_verify_leaf_cert_crl max_verify_depth suppress_client_ca_list',
    ),
    rejected(NO_PROVIDER, 'ca_certificate_provider_instance'),
    harmless('Envoy 1.40 does not read it', COMMON, 'require_signed_certificate_timestamp'),
  ),
  [`${TLS}CertificateValidationContext.SystemRootCerts`]: fields(),
  [`${TLS}SubjectAltNameMatcher`]: fields(honoured(TEST, 'san_type matcher oid')),
  [`${TLS}SPIFFECertValidatorConfig`]: fields(honoured(TEST, 'trust_domains trust_bundles')),
  [`${TLS}SPIFFECertValidatorConfig.TrustDomain`]: fields(
    honoured(TEST, 'name trust_bundle'),
    rejected('a bundle holds for every workload; remove it', 'workload_trust_domain'),
  ),
  [`${TLS}TlsKeyLog`]: fields(
    honoured(TEST, 'path'),
    rejected('keys of every connection would be logged; remove it', 'local_address_range remote_address_range'),
  ),
  [`${TLS}TlsSessionTicketKeys`]: fields(honoured(TEST, 'keys')),
  [`${TLS}SdsSecretConfig`]: fields(honoured(TEST, 'name sds_config')),
  [`${TLS}Secret`]: fields(
    honoured(TEST, 'name tls_certificate session_ticket_keys validation_context'),
    harmless('nothing asks for a secret of this kind', SECRET, 'generic_secret'),
  ),
  'envoy.config.core.v3.ConfigSource': fields(
    honoured(TEST, 'path path_config_source'),
    rejected(NO_SDS, 'api_config_source ads self'),
    rejected('authorities are for xdstp names; remove it', 'authorities'),
    harmless('a file is there or the start fails', 'core.v3 config_source.proto', 'initial_fetch_timeout'),
    harmless('there is one version', 'core.v3 config_source.proto', 'resource_api_version'),
  ),
  'envoy.config.core.v3.PathConfigSource': fields(
    honoured(TEST, 'path'),
    warned('the file’s own directory is watched', 'watched_directory poll_interval'),
  ),
  'envoy.config.core.v3.WatchedDirectory': fields(
    honoured(TEST, 'path'),
    harmless('writes in place are always seen', 'core.v3 base.proto', 'watch_modify'),
  ),
};
