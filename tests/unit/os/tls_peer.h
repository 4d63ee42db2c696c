/* SPDX-License-Identifier: Apache-2.0 */
/* A client of OpenSSL's, and certificates for the tests, made when they run. */
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_LEN 64

/* PEM files in a directory of their own. */
struct files {
    char dir[PATH_LEN];
    char certificate[PATH_LEN], key[PATH_LEN], other_key[PATH_LEN], encrypted_key[PATH_LEN],
        broken[PATH_LEN];
};

static inline FILE *file_in(const struct files *files, const char *name, char path[PATH_LEN])
{
    snprintf(path, PATH_LEN, "%.40s/%s", files->dir, name);
    return fopen(path, "w");
}

static inline X509 *certificate_of(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_sign(certificate, key, EVP_sha256());
    return certificate;
}

static inline int files_make(struct files *files)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *certificate = certificate_of(key);
    FILE *file;

    snprintf(files->dir, PATH_LEN, "/tmp/test_tls_XXXXXX");
    if (!mkdtemp(files->dir))
        return -1;
    file = file_in(files, "certificate.pem", files->certificate);
    PEM_write_X509(file, certificate);
    fclose(file);
    file = file_in(files, "key.pem", files->key);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    file = file_in(files, "other.pem", files->other_key);
    PEM_write_PrivateKey(file, other, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    file = file_in(files, "encrypted.pem", files->encrypted_key);
    PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(file);
    file = file_in(files, "broken.pem", files->broken);
    fputs("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n", file);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static inline void files_remove(const struct files *files)
{
    unlink(files->certificate);
    unlink(files->key);
    unlink(files->other_key);
    unlink(files->encrypted_key);
    unlink(files->broken);
    rmdir(files->dir);
}

/* A client that speaks one version and trusts the certificate of `files` alone. */
static inline SSL_CTX *client_new(const struct files *files, int version)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_min_proto_version(client, version);
    SSL_CTX_set_max_proto_version(client, version);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    if (version < TLS1_2_VERSION) /* otherwise the client would not even ask */
        SSL_CTX_set_security_level(client, 0);
    SSL_CTX_load_verify_file(client, files->certificate);
    return client;
}
