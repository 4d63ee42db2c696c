/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate and its key, and what is offered to clients. */
#include "base/assert.h"
#include "base/err.h"
#include "os/file.h"
#include "os/linux/tls_impl.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define PEM_BYTES_MAX  ((size_t)256 * 1024)
#define CHAIN_MAX      10
#define TICKET_HOURS   12
#define CIPHERS_TLS1_3 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define CIPHERS_TLS1_2 "ECDHE+AES128+AESGCM:ECDHE+CHACHA20:ECDHE+AESGCM"
#define GROUPS         "X25519:P-256:P-384"

/* Opens a PEM file for OpenSSL; NULL after it has told why not.  `text` holds what was read. */
static BIO *open_pem(const char *path, const char *what, struct td_buf *text, struct td_buf *errors)
{
    int r = td_file_load(path, text);
    BIO *bio = r == 0 ? BIO_new_mem_buf(text->len ? text->ptr : "", (int)text->len) : NULL;

    if (r == TD_ETOOLARGE)
        td_buf_putf(errors, "%s: the %s file is longer than %zu KiB\n", path, what,
                    PEM_BYTES_MAX / 1024);
    else if (r < 0)
        td_buf_putf(errors, "%s: the %s cannot be read: %s\n", path, what, td_err_name(r));
    else if (!bio)
        td_buf_putf(errors, "%s: no memory to read it\n", path);
    return bio;
}

static void close_pem(BIO *bio, struct td_buf *text)
{
    BIO_free(bio);
    if (text->ptr)
        explicit_bzero(text->ptr, text->len);
    td_buf_done(text);
}

/* The first certificate is the server's, the others lead to its issuer.  How many there were, or -1 after something was refused. */
static int read_chain(SSL_CTX *ssl, BIO *bio)
{
    X509 *certificate;
    int n = 0;

    while (n <= CHAIN_MAX && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        long good = n == 0 ? SSL_CTX_use_certificate(ssl, certificate)
                           : SSL_CTX_add1_chain_cert(ssl, certificate);
        X509_free(certificate);
        if (!good)
            return -1;
        n++;
    }
    return n;
}

static void load_certificate(SSL_CTX *ssl, const char *path, struct td_buf *errors)
{
    struct td_buf text = TD_BUF_INIT(PEM_BYTES_MAX);
    BIO *bio = open_pem(path, "certificate", &text, errors);

    if (!bio) {
        close_pem(bio, &text);
        return;
    }
    int n = read_chain(ssl, bio);
    unsigned long error = ERR_peek_last_error();
    if (n == 0 && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        td_buf_putf(errors,
                    "%s: there is no certificate in it: expected PEM, -----BEGIN CERTIFICATE-----, "
                    "the server's own first, then those that lead to its issuer\n",
                    path);
    else if (n > CHAIN_MAX)
        td_buf_putf(errors, "%s: there are more than %d certificates in it\n", path, CHAIN_MAX);
    else if (n < 0 || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        td_buf_putf(errors, "%s: a certificate in it cannot be used: %s\n", path,
                    ERR_reason_error_string(error));
    ERR_clear_error();
    close_pem(bio, &text);
}

/* OpenSSL asks for the passphrase of an encrypted key; there is none. */
static int no_passphrase(char *ret, int size, int writing, void *asked)
{
    *(bool *)asked = true;
    return -1;
}

static void load_key(SSL_CTX *ssl, const struct td_tls_options *options, struct td_buf *errors)
{
    struct td_buf text = TD_BUF_INIT(PEM_BYTES_MAX);
    BIO *bio = open_pem(options->key, "key", &text, errors);
    bool encrypted = false;

    if (!bio) {
        close_pem(bio, &text);
        return;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    const X509 *certificate = SSL_CTX_get0_certificate(ssl);
    if (encrypted)
        td_buf_putf(errors,
                    "%s: the key is encrypted: expected one without a passphrase, in a file that "
                    "only the server can read\n",
                    options->key);
    else if (!key)
        td_buf_putf(errors,
                    "%s: there is no private key in it: expected PEM, -----BEGIN PRIVATE "
                    "KEY-----\n",
                    options->key);
    else if (certificate && X509_check_private_key(certificate, key) != 1)
        td_buf_putf(errors, "%s: the key does not belong to the certificate in %s\n", options->key,
                    options->certificate);
    else if (certificate && SSL_CTX_use_PrivateKey(ssl, key) != 1)
        td_buf_putf(errors, "%s: the key cannot be used: %s\n", options->key,
                    ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    EVP_PKEY_free(key);
    close_pem(bio, &text);
}

/* RFC 7301 §3.2: of what the client offers only HTTP/1.1 is spoken; who offers none of that is refused. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                           const unsigned char *offers, unsigned len, void *arg)
{
    static const char name[] = "http/1.1";

    for (unsigned at = 0; at < len && offers[at] < len - at; at += 1u + offers[at]) {
        if (offers[at] != sizeof(name) - 1 || memcmp(offers + at + 1, name, offers[at]) != 0)
            continue;
        *ret_name = offers + at + 1;
        *ret_len = offers[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static td_unix_ms end_of(const X509 *certificate)
{
    struct tm tm;

    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    return (td_unix_ms)timegm(&tm) * 1000;
}

static SSL_CTX *make_ssl(enum td_tls_version min_version)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    char groups[] = GROUPS; /* the library's macro takes the const away */
    int min = min_version == TD_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    if (!ssl)
        return NULL;
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Reading ahead saves a system call a record; the buffer is given back as soon as it is empty. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    /* Tickets resume; the server keeps no sessions. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, TICKET_HOURS * 60L * 60L);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    if (SSL_CTX_set_min_proto_version(ssl, min) != 1 || SSL_CTX_set_num_tickets(ssl, 1) != 1 ||
        SSL_CTX_set_ciphersuites(ssl, CIPHERS_TLS1_3) != 1 ||
        SSL_CTX_set_cipher_list(ssl, CIPHERS_TLS1_2) != 1 ||
        SSL_CTX_set1_groups_list(ssl, groups) != 1) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

int td_tls_context_new(const struct td_tls_options *options, struct td_tls_context **ret_context,
                       struct td_buf *errors)
{
    struct td_tls_context *context = calloc(1, sizeof(*context));
    size_t errors_before = errors->len;

    if (!context)
        return -ENOMEM;
    ERR_clear_error();
    context->ssl = make_ssl(options->min_version);
    if (!context->ssl) {
        td_buf_puts(errors, "tls: OpenSSL does not start\n");
    } else {
        load_certificate(context->ssl, options->certificate, errors);
        load_key(context->ssl, options, errors);
        context->ends = end_of(SSL_CTX_get0_certificate(context->ssl));
    }
    if (errors->len > errors_before || errors->err < 0) {
        td_tls_context_free(context);
        return TD_EINVAL;
    }
    *ret_context = context;
    return 0;
}

void td_tls_context_free(struct td_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

td_unix_ms td_tls_context_ends(const struct td_tls_context *context)
{
    return context->ends;
}
