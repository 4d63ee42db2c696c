/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and tokens that another library (Python's cryptography) made with their private halves, which are not kept: what is good is
 * `{"sub":"ann","exp":1800000060}`. */
#pragma once

static const char rsa_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqoI6ce08HzNCX5UKUQTr\n"
                              "aIMnJjIoYEJ8NN4qAY4oJO+vtIJ7FMJtpisfVT+KYFmKVaYmBOS08LYG7EhriXyo\n"
                              "Z/AYOB+lhxBje2eTkZCguw4gHLARlf5OtlnKTFly5yMfJXLzgoTx/X5cuYPEFOO2\n"
                              "VGoz/gkFVs69JgCvC/l+feTN6GkKsjPmo5G3X1rKfqRUNlqr4EaQNHnnRHDHSJdO\n"
                              "cuz0LD3sEYYjY9fGMb1HXKHDoKBpFbDIwQxlnbguRDHzKG3PVWQQE7yuazMbdX+v\n"
                              "8CFWZSdco0GBV1PviXie4dpl/+4fp40MEBsAPu5nt5N3LzTtf/q33+X458F3eqej\n"
                              "zwIDAQAB\n"
                              "-----END PUBLIC KEY-----\n";

static const char other_rsa_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmebaveR42H9cqHzqnUqE\n"
    "dw7NgbmEN+f2zkYOMrqSAt/QYh+nO+M5nLhryKMp3E5ePfsVc0eUe93hVq1yMJ0p\n"
    "JgPzdiTmjS1t6otx+BRnFO2CSIsM+MjowxC6uv1CLsfbYcQtWDlcHivDvhoLexkZ\n"
    "kyM+noT6UrlhliRnJhhdz0NPEn/EA+OZu9gSlqgJoz04hbBob/Hg2vncBgFd3lS1\n"
    "r1H6js6ZiGqwLqtVuELYyvw7OVwPY4LOiv+plwEcyHwrUjR2wPLpeVvxsP0qj1Wl\n"
    "USlRlFJvqWRboS1qdQ0WhrJZOH2oiWqR6rlnPyeuw4EwhF88HhkWPyIEymFIfyd8\n"
    "xQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char rsa_1024_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDK1IbiztXtMC+NcwaOJyxwPq+S\n"
    "Jiwj7Wb56L1POUCcMJedYKVaHLlN8dORGnIPAg84cs2xi51aCaJ5dMRkr9RYn/RW\n"
    "Dvufq4BHq+T+zxHByFxcKPUSGc9NGl1GOqtqscp/mLP7I7zHheGHD8WRJTod0RZk\n"
    "qM6ZMYrby+I52CmWHwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char p256_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqswh695x1bYzG/tmDCS3LYf3JcvC\n"
                               "rCh+t2siQVjhlpgL3Omb4353VQD5M2OO8FYXz+oCQTZ40rGLL0m7P/BJug==\n"
                               "-----END PUBLIC KEY-----\n";

static const char p384_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEb1DV42LGhyf7vOvP3RtGm5hsx/hLV0FQ\n"
                               "fFREiqmnX9czPKLFX4OMP5XftAa26uSxrxnMzCMz/qlzjdDaO17gdt8i3qIJYMFl\n"
                               "TOqmuqAKPRHjIcUrUB+f0Pu7fOU2Yn91\n"
                               "-----END PUBLIC KEY-----\n";

static const char p521_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBAKCunXe4tlpP5eb+dOLWfAQ3P/W8\n"
                               "RyhXvRYuT1yJoQW1o9rnSeAuQAGmiH0I59xjmOS+SKW5IKxR8bc/QE/txdwB0e5R\n"
                               "VjTsDc0aVlscydITVVrU7660AWBr1+Sdxm4gaaXIrGwzQyO2YT9jBtyrpSjpOfBu\n"
                               "4iQAP9McrZ5TvvRB7iM=\n"
                               "-----END PUBLIC KEY-----\n";

static const char ed25519_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MCowBQYDK2VwAyEASTUfNMRYWBxZauCPOTbagq1V1O/8OYhbTiAPH4a35ho=\n"
                                  "-----END PUBLIC KEY-----\n";

static const char rsa_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"qoI6ce08HzNCX5UKUQTraIMnJjIoYEJ8NN4qAY4oJO-vtIJ7FMJtpisfVT-KYFm"
    "KVaYmBOS08LYG7EhriXyoZ_AYOB-lhxBje2eTkZCguw4gHLARlf5OtlnKTFly5yMfJXLzgoTx_X5cuYPEFOO2VGo"
    "z_gkFVs69JgCvC_l-feTN6GkKsjPmo5G3X1rKfqRUNlqr4EaQNHnnRHDHSJdOcuz0LD3sEYYjY9fGMb1HXKHDoKB"
    "pFbDIwQxlnbguRDHzKG3PVWQQE7yuazMbdX-v8CFWZSdco0GBV1PviXie4dpl_-4fp40MEBsAPu5nt5N3LzTtf_q"
    "33-X458F3eqejzw\",\"e\":\"AQAB\"}";

static const char p256_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"qswh695x1bYzG_tmDCS3LYf3JcvCrCh-t2siQVjhlpg\","
    "\"y\":\"C9zpm-N-d1UA-TNjjvBWF8_qAkE2eNKxiy9Juz_wSbo\"}";

static const char p384_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"b1DV42LGhyf7vOvP3RtGm5hsx_hLV0FQfFREiqmnX9czPK"
    "LFX4OMP5XftAa26uSx\",\"y\":\"rxnMzCMz_qlzjdDaO17gdt8i3qIJYMFlTOqmuqAKPRHjIcUrUB-f0Pu7fOU"
    "2Yn91\"}";

static const char other_rsa_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"mebaveR42H9cqHzqnUqEdw7NgbmEN-f2zkYOMrqSAt_QYh-nO-M5nLhryKMp3E5"
    "ePfsVc0eUe93hVq1yMJ0pJgPzdiTmjS1t6otx-BRnFO2CSIsM-MjowxC6uv1CLsfbYcQtWDlcHivDvhoLexkZkyM"
    "-noT6UrlhliRnJhhdz0NPEn_EA-OZu9gSlqgJoz04hbBob_Hg2vncBgFd3lS1r1H6js6ZiGqwLqtVuELYyvw7OVw"
    "PY4LOiv-plwEcyHwrUjR2wPLpeVvxsP0qj1WlUSlRlFJvqWRboS1qdQ0WhrJZOH2oiWqR6rlnPyeuw4EwhF88Hhk"
    "WPyIEymFIfyd8xQ\",\"e\":\"AQAB\"}";

static const char rsa_1024_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"ytSG4s7V7TAvjXMGjicscD6vkiYsI-1m-ei9TzlAnDCXnWClWhy5TfHTkRpyDwI"
    "POHLNsYudWgmieXTEZK_UWJ_0Vg77n6uAR6vk_s8RwchcXCj1EhnPTRpdRjqrarHKf5iz-yO8x4Xhhw_FkSU6HdE"
    "WZKjOmTGK28viOdgplh8\",\"e\":\"AQAB\"}";

static const char rsa_e1_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"qoI6ce08HzNCX5UKUQTraIMnJjIoYEJ8NN4qAY4oJO-vtIJ7FMJtpisfVT-KYFm"
    "KVaYmBOS08LYG7EhriXyoZ_AYOB-lhxBje2eTkZCguw4gHLARlf5OtlnKTFly5yMfJXLzgoTx_X5cuYPEFOO2VGo"
    "z_gkFVs69JgCvC_l-feTN6GkKsjPmo5G3X1rKfqRUNlqr4EaQNHnnRHDHSJdOcuz0LD3sEYYjY9fGMb1HXKHDoKB"
    "pFbDIwQxlnbguRDHzKG3PVWQQE7yuazMbdX-v8CFWZSdco0GBV1PviXie4dpl_-4fp40MEBsAPu5nt5N3LzTtf_q"
    "33-X458F3eqejzw\",\"e\":\"AQ\"}";

static const char rsa_even_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"qoI6ce08HzNCX5UKUQTraIMnJjIoYEJ8NN4qAY4oJO-vtIJ7FMJtpisfVT-KYFm"
    "KVaYmBOS08LYG7EhriXyoZ_AYOB-lhxBje2eTkZCguw4gHLARlf5OtlnKTFly5yMfJXLzgoTx_X5cuYPEFOO2VGo"
    "z_gkFVs69JgCvC_l-feTN6GkKsjPmo5G3X1rKfqRUNlqr4EaQNHnnRHDHSJdOcuz0LD3sEYYjY9fGMb1HXKHDoKB"
    "pFbDIwQxlnbguRDHzKG3PVWQQE7yuazMbdX-v8CFWZSdco0GBV1PviXie4dpl_-4fp40MEBsAPu5nt5N3LzTtf_q"
    "33-X458F3eqejzw\",\"e\":\"Ag\"}";

static const char rsa_huge_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\",\"e\":\"AQAB"
    "\"}";

static const char off_curve_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"qswh695x1bYzG_tmDCS3LYf3JcvCrCh-t2siQVjhlpg\","
    "\"y\":\"C9zpm-N-d1UA-TNjjvBWF8_qAkE2eNKxiy9Juz_wSbs\"}";

static const char wrong_curve_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"qswh695x1bYzG_tmDCS3LYf3JcvCrCh-t2siQVjhlpg\","
    "\"y\":\"C9zpm-N-d1UA-TNjjvBWF8_qAkE2eNKxiy9Juz_wSbo\"}";

/* What another library signed. */
static const struct signed_token {
    const char *alg, *pem, *token;
} signed_tokens[] = {
    {"RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.D8LWLEgoli1k1kBQEcE8e0OgaW"
     "s9W9ddaUlBMy7Xa1nWx5Deds-wzS19GrNI8DsbZ8crbc1Tz-Jq6Tx0pukFXTwr6WJ83Wewk5TKtcJ6WrqbdNjH7b"
     "4TNHB03jSlOWpTPi9Bikw8oRy3WpfsKRjjyQ2YtokIu9xdlLb5ngS_XeqfXtx5znpk_EsR-33FK5Vq-GntJfF9B_"
     "rQid5AMVHaHGqLsx1SCjcre0_wrXxa0fmwE3Ghdl9PWTDIQDNJtlApB_F6lv0Ec8ng4HGGvleioDre0QWJCoE528"
     "YsA4Fuy6UexjIqEZx1muaUnnaMov0RjALsoxPVCUwvc0gDLlKvrA"        },
    {"PS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.e5xwhGQnSvYTeWfwzHDDSjOqQw"
     "rMkaRwnWgcRMNzb1wGk_6d-4dguf9X3nT1AAbp0fqS6fBydT2FTLc7kta4IngZu6XhTuB-6IemL9NGQ8sIkiq6nm"
     "xm19FBwMEegzhMz2osIVg9qtspPh1PHL4eMGvk_WLJlPFNemHbvyxIrY-IqpgI6BdFVAWDqq8xaNQTu6h_W4Gqd0"
     "MFDWVYYmZu3crZ_Uz224f035Sd1Gxg77aXMV8p_KsypFgjjmAWUpKn2kktmukiKfMBNJVmvK3SXqTyphvhBOxpQe"
     "CXvZCCAR0koorpw3dkHQ-ZMQXPg0t-tb--gXkY77B5kHFuGgsEXw"        },
    {"RS384", rsa_pem,
     "eyJhbGciOiJSUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.liixvq8UNmB7vq_z8vrCRHDTZx"
     "CHBkZebSlOZJFNaQmCTKGVTrZyqA5FN5XUeZ0I_twdiiF5U6ERwrNX2d0OYPtp8bzFrcExEfy-d-Q_6PMYJ1cci8"
     "Rzjxl35iSS5xJSXhZ9Lr5wyidxImoW88xpP4cpY0dsCw6S8eZornTRF4CcWnmAaOO8A-TE0YWUUKkjHT60RZ6jbC"
     "F7fv7BpaI7yia1mzB24MoZ2yhaeanhQdQRpOr1x1Xjqrfe63CXBBUdV_6qRPNVNQUP7gLYyZva-l9opGUe8-2ZGI"
     "rMGE6d0T1E_MhJn_XKXZQ4bQXYoh82QMq40PuzNXSocL7Ow5sp1g"        },
    {"PS384", rsa_pem,
     "eyJhbGciOiJQUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.I8NAQcKutffM3XhQuIZW28zWcX"
     "y7V0Y53TdSheVTSNTfilNmSyT64QIakqCOO8lw90yLZPMyt-cBaOFSTnB7rZeLcOhS8hMRs6r0Vhiq9c46V4H4LG"
     "ngGXfGlxWKRHpKLtXNHBfFbGke7UTu0g4y8C8BSetFUrMXYmCUvpa7jQWrkvuKth4SbxEwWYfysZnfgTSj-iIkRc"
     "8SNZIfVN3BRXrOLZyZiN3_MIA6NZb14TcQzO_EO1ID26NrTzbeVKEXzYeWT3Ag4WPpjnqkqdcsD5MORdDvh-LP7R"
     "rXGZ1ImtLT3A-_uQbn5UlpLhZTUujc7TD2ia1EnUSLFRzkfzjPtw"        },
    {"RS512", rsa_pem,
     "eyJhbGciOiJSUzUxMiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.kumcNUIE7brleQSGVA8VGZ5x_E"
     "m9PXT3bh0dQsiRgCfM1tJCYMZjsA-jUDA0dUpUut65FXw07h3aVaRFre6wJEHTB6jtFUK-5HrYz8aVhKbx8mHJEq"
     "WwwV9fun0ix-nG_6JjUsc-4Tffqxqmtspz0_WTX4yMbLTwx5MHq6Voor_ZOAUc55NigdvKeiqz8XGdlaamK5sUYg"
     "dhuPIcR4FgkfaBV_WSv-PXKMDVcCkgaEM1wi948n_A7ZVJVnxtYt4uJ0FgHMKl6VbCLcu67mBvLaYmJe0EeV-I24"
     "oQ0TgilzBhNqsf4jWwlJmr0RHWAT72iRqGTnwEr0g9qGrO_YTTPQ"        },
    {"PS512", rsa_pem,
     "eyJhbGciOiJQUzUxMiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.PjiIsOW4oakpoTgccpz1MyRzK-"
     "xNWRxpuarm0mWeorLk2ti2O0kvm7-oLryTd77A-VZkrwvIe-_MXftCDMP9s71mDWV6pKcdYZS6j5y9eNhEecBHv_"
     "jPnl1EZztERUV-BhSVEraOrl2rPCre_b01mbAMR4fnz32e7W0RxIFQ5s_KoYY-zml-u6U8EWmb-ZgK9iFVpGcxWO"
     "5_lralxSFMpEFRikxQOwRmYSTZNLnY6d_9dDBodOZYRoSsp9qgUDUTjcgprmMRFvDg7x66jDRQDqKHWfndDkRCSC"
     "JoKhzf0eSC_yVV3jR_Tlu9WGLS3H4gGTd_OnNH3RTxRVAviEQ8Cg"        },
    {"ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.54TOQmQqubXbficO-ZtCuMLwI4"
     "4emKnLqmonthzagd2YK4pD7FfKo9_-H7Q6tb0KNSCxkmPX-mpU5vr_7QhvZQ"},
    {"ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AGSD8D0do9fSEbiHAHGVlfUvgm"
     "APp913TH3_6C04CESjqFuZ3Nm7w2MetQ002Ey1WlA-UE7akaKM31aOev0UaA"},
    {"ES384", p384_pem,
     "eyJhbGciOiJFUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.pGpfiqTCAuRvXzpRXOAFuQ8lp7"
     "byw5sEDIXULkWAve-erhvy172t6TlqFAr1hnMc6FhTB9CxIn9oWfmVCsUVBH4kDs3_8jMw1gpL9Jtb0vkyTe3xzt"
     "6DwSgvQYBJmE2s"                                              },
};

/* What must not pass, by the key that it is aimed at. */
static const struct forged_token {
    const char *what, *alg, *pem, *token;
} forged_tokens[] = {
    {"HMAC with the public key as the secret",     "RS256", rsa_pem,
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.Mm5uLJgUuBNGnzoTnlTfFtd0oF"
     "G-UsKXEJh9vgi9XVU"                                                                                                               },
    {"HMAC with the public key, which says RS256", "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.pb-ocpUzGbPZ_ik9rK0UBXG6gR"
     "VDljzJCm3MbY7N0bw"                                                                                                               },
    {"HMAC with an empty secret",                  "RS256", rsa_pem,
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.rbL7Y7D0qLoQ0GAJ9kXVG-ScmB"
     "_nCv0cvH5LchLpmKM"                                                                                                               },
    {"of another key",                             "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.ayrb9Qb0mo9VTArWHX0Qfk_LAz"
     "P1yRom9hHDCd1JISzWQi18-Ex92orwkU3zyTi4uynK7RBp2mcUuaGE64ypLVhOajoUrXAeD573MrM8napcmIkRFp"
     "Wpw_fVUMarJVl6uyO4ovbx-rYXbG_9qrsVWz89F1kbOtSQ-XNyt12eR6HZgsKwLkzKgwuQ2ACO3h2WZTBOTQuQ_T"
     "lcsLxFn_Dtcy5agrywczK5e7QDv8kRnqQTQFvBqxvcQmVH8qLJDF_jfASzZXl8yILwPgLrTFOxQpcFqe7F088Rks"
     "gaSzFXORF4emyYwMJhHozmomDES-kU1MsTPZrMow8aefvGVz5_CQ"                                                                            },
    {"another alg of the same key",                "RS256", rsa_pem,
     "eyJhbGciOiJSUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.liixvq8UNmB7vq_z8vrCRHDTZx"
     "CHBkZebSlOZJFNaQmCTKGVTrZyqA5FN5XUeZ0I_twdiiF5U6ERwrNX2d0OYPtp8bzFrcExEfy-d-Q_6PMYJ1cci8"
     "Rzjxl35iSS5xJSXhZ9Lr5wyidxImoW88xpP4cpY0dsCw6S8eZornTRF4CcWnmAaOO8A-TE0YWUUKkjHT60RZ6jbC"
     "F7fv7BpaI7yia1mzB24MoZ2yhaeanhQdQRpOr1x1Xjqrfe63CXBBUdV_6qRPNVNQUP7gLYyZva-l9opGUe8-2ZGI"
     "rMGE6d0T1E_MhJn_XKXZQ4bQXYoh82QMq40PuzNXSocL7Ow5sp1g"                                                                            },
    {"PS by the key of RS",                        "RS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.nnovwYprm3t7hfau7j14QGep03"
     "7vaCk9ZayeJDGQ9pRLHe0kxFDAHb14EVUJY_A_q_yqEwcYsvyYe7QhFaue2d-tbvfaem58jQpvustxXUlEhPpTXJ"
     "ctP1m42oZmTkZROocQGN1CXU5km7WUYVL6FwIRjJ3DNB6QSpN-fI1dd5Mv4sogwkSKbIp21weagpSCqtjBraOMBi"
     "jR8a306_JxTXmnIzaCqHHsB_RcLc2ZzY4uurpjjACulhK5kN5qULkj5JRIPU-Do48ve-NQapgfQKBVxFs_4qjN7F"
     "Svfr030vhscpT24of2t_4_3oL-kO6m1X5P3kFaMjbKO5UlaQHc7g"                                                                            },
    {"PS that says RS",                            "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.KQEy7v0YmX_yaKiGDVUr8FU2DK"
     "2Mr9wzL2tNHYJTG6Rrufcbdt0gd79BN_h3_EoaV9vsK7xsVNOl5idohwszvxeElzfAEdYWXaqgeXZWC76LBzguv8"
     "9_HAYvrjaWJylrbe5YGBZH_JQ2kDejcPH042tMUf8csT41nBJsZmE51FJPP3WpQbIanFtyYgiRxl32KZoXKITfYI"
     "A-QD0CyTDH_akaIVOcWw7tTvbATrhTugVLCJRFiqFB1pwi6p_sIaYSQ9d8G-M5VTU7L0gQrqXiprmRJ35o5wYGS1"
     "RCdvUBF4SFooFZhd08xSxlgLYm3_-3ZqOqctr4BEn4zBR_42wXAA"                                                                            },
    {"RS that says PS",                            "PS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.L_Yt3NxrP7xQWyVEHS3l0N8SSY"
     "8xPkrGmkcscx0CAnegthskkBaECEewYfzAnnlpW_Vwl78aG1JzAwDlnsUnSdXa8cYphVCWVOtCzMSza36-I44HWV"
     "_NSXdNAZ9lmwdwKPvnU58F23QqobWS-FRUu25xCmQJAS0AG6VborfkFQMxFG7iYYvxprBlPRp3nw63KwnPJezkXM"
     "YT7LmVemIIYTFKNKR6_sW7ViHUiZYLBOhLvAkjZKWeha30yxMZ1gINbdmCc7v2a7mi34k5_7Zej-W-qoc1AqMK24"
     "wG0cy2DOw7u8jU0i2b048CK4uarxLLLANxVB0L-X0GmhbdyVEIGw"                                                                            },
    {"RS of another hash",                         "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.bVlotkb9sF02tYlMPHttUy9rph"
     "jVzyeID8iyK4zPiEroqpJTYm7WkC2kGRIN1ondM0k6CiFH6utcgJuYCDBgnIW2CPOtD5ZhNdKEDrIro7XvgJbOqD"
     "dByCC13107gnCAP4-X6ItsWuuCfxCy4MediotiE21yJ2eawECItLmBf9d6CLjBG364QzqkDirfpBTLtcuQ0m_qAi"
     "OBU7QM6QJxAHk1DDvFpLVxS1Py2sv2EoiK86H8OmUPOKfNHfb_TYBDGqf7lQQp0YKbqIlXWrMj7ZvOHvDsgV88EI"
     "_8-SlG4SJ6ZTPmDwygP3JIyqkTUYlfLtPiObcPeL-OVw-MlvXIDg"                                                                            },
    {"PS without salt",                            "PS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.buDOY6RiOvTLWtyrjlBk8KKYVk"
     "M0inxKKuuJaWHEn_uTJXpziCmQ36_eu3yIydMe5WQtRs1TtkBthj3CaH9aThHiFZZvzfDcylFO5FWgK51JVzwlGV"
     "nJ3hXihYv36CJbxWfzxdg-8bQ5WIsffwuILwCvZzYIL_20sNSLFA1RltSPRnNcV4DtXjVVerPpXEPMl2WIutJ1PX"
     "oSTpq7ZM96cVymtNBcQoC3-Mr7AxZ-floJ4HoKcMV77DLN2hLJL5pXz-0hBF2m_M2u4dNZhwnGUKcajhiMbz49xh"
     "M0BTMTyW9zFeMNZgE3aZzkjRu2o5H9F2UQ18bsYiQTA4oSPxIhhQ"                                                                            },
    {"PS with a long salt",                        "PS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.pXMwz3GLmfs5RSTlqbHa2hmW06"
     "tRzbnMc-Rlf44p_L_qyQdCwGlk5UitbOoqd52DzXbjSSciL5yjHI9wnk1DNNp0TdV-OiJ-87geMYXghQAD3Qy_uu"
     "sEaCKmBf0DT9FowkdiI2Yv29heHlZgS5D0nvasWxpbFODcqAUlSNMZMX0l61om0rbXCaRmru8fr2IV6L04PXJqZ7"
     "7UGf4uciSzCwDiikCw5BFrw5wuFdnuTn8MmX_mXehBzX8oFsMN5ZhSN_mvA9nJd2m-Dx7lAlJmxncvafBXzGutBB"
     "b4C9PWOiw-iL8UYXDRnJxfOa54hGtAv9zMGn1On5laoseC_lQ4yw"                                                                            },
    {"PS with another mask",                       "PS256", rsa_pem,
     "eyJhbGciOiJQUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.TgSurETT2tZtUb5cIgHMQwHtg2"
     "Q6Yddrp70TXJnej8bcxxoUW4WXVKiefOV2aqucukDuzkiTfShZ1NvOqXRgq7VVZMWEmgk0-qry62EkrwKWiBD_Bz"
     "xw1n6GE8k0ezIZYrg9bEWNnYvZ86UZ-bKCdstOnV6qYduDatT9Le142RsXt-vi-pff27xlb7mibDsdDW5fc185p7"
     "ioFIdBYH87AGGFnh0XFRdMx9yY1aL-TDbwYhJcGNAexz_klGXUN9HwFl6M8T-65Rzb4E9XTtiIXV8nDyZBsSUrJq"
     "qSlY2XKze4Zu6g9uswQje6OANOtl2didg48FaGXCr7L6f9TK07uQ"                                                                            },
    {"RS of zeros",                                "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                                                            },
    {"RS of one",                                  "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ"                                                                            },
    {"RS of one byte",                             "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AQ"                                                                },
    {"ES r = s = 0",                               "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                                                    },
    {"ES r = 0",                                   "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAKOUuGDm6mFi_YMSX0EzrXDyOKHhUj6zDlxRl_KlnIjg"                                                                    },
    {"ES s = 0",                                   "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.qMPFjaiPTKJrLU6RMlUFbipiwP"
     "CBFFR00VbINUotz58AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                                                    },
    {"ES r = n",                                   "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9._____wAAAAD__________7zm-q"
     "2nF56E87nKwvxjJVGOWPVd66mhxfZV55--dTrzTSiUKP_JZTJYC4RrGdj4Tg"                                                                    },
    {"ES r = s = n",                               "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9._____wAAAAD__________7zm-q"
     "2nF56E87nKwvxjJVH_____AAAAAP__________vOb6racXnoTzucrC_GMlUQ"                                                                    },
    {"ES r = s = 1",                               "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ"                                                                    },
    {"ES as DER",                                  "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.MEUCIQD7IFfgvHX4ZkT-4ERVQk"
     "ePWWPVFNOj5RaeMuxMx5FJWwIgRQeCg64v8Je_QfQa8ZsPm3wjHuhFmpIevh1v_BginSg"                                                           },
    {"ES a byte longer",                           "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AKGQ7n4Ib9BMwzj3MJw9Fpbigc"
     "yYI0nyZBiMMPSArS27APB8AUaFtrdV6kya2hPJyQPUS-MDWyU1IopIaPYGnUMJ"                                                                  },
    {"ES of another curve",                        "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.vklIxuCpWv87kWndfd3p9GCPU-"
     "hRST3CCLkiZvOtZA6Sk3zd2cZXH-1SqDGuJOEDUp0gK8eK2JywHZrjbLKxsFsdGYuKmZ-OKhLPysQ9DMnsCZMwIE"
     "i3v6v8CAZO5smg"                                                                                                                  },
    {"ES384 on P-256",                             "ES256", p256_pem,
     "eyJhbGciOiJFUzM4NCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.ymr4vvUX8o1xTME98xl0OfcI2S"
     "4rPzruplT9_pzVeoARyvHsjF1OU5Fiw29BtdgMci27JN5QpEBts7p1BQunTw"                                                                    },
    {"ES512",                                      "ES256", p256_pem,
     "eyJhbGciOiJFUzUxMiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.APCFtf297kyrJyAbAoUphkJ3kc"
     "IN0wu3TOlhwtwbsOuwSXmPaI07F8OBDOsHdH4fLJTLKzO1WiOfQ1Lisxc2nIHdAYhn5RxRQsGqZBhHCaK0Mv11G4"
     "Pn9zLRJhGOKsuU0AcCIKj4_3ZqqJxOl8XCa9d1rNl37g9wa_ujMlcXMGowAUTr"                                                                  },
    {"ES256K",                                     "ES256", p256_pem,
     "eyJhbGciOiJFUzI1NksifQ.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.SatvC67rA8GrrB09EVyqi_FF"
     "c5kK1ym38cbTiinD7FCp4-nFp-cRXG_bwB74MB_B4UIxzVGdJDan4ZD2BBKFKg"                                                                  },
    {"EdDSA",                                      "ES256", p256_pem,
     "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.D5l-_fYhE_4oyfdmTvmoFMFtFy"
     "XXlLx_VLm-U-1K2SbhFhaNqv1QQuIw0NpxxNWuw3WIfD9LxIh404kyNRdjAw"                                                                    },
    {"none",                                       "ES256", p256_pem, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.AA"},
    {"its own key",                                "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiIsImp3ayI6eyJrdHkiOiJSU0EiLCJuIjoibWViYXZlUjQySDljcUh6cW5VcUVkdzdOZ2Jt"
     "RU4tZjJ6a1lPTXJxU0F0X1FZaC1uTy1NNW5MaHJ5S01wM0U1ZVBmc1ZjMGVVZTkzaFZxMXlNSjBwSmdQemRpVG1q"
     "UzF0Nm90eC1CUm5GTzJDU0lzTS1Nam93eEM2dXYxQ0xzZmJZY1F0V0RsY0hpdkR2aG9MZXhrWmt5TS1ub1Q2VXJs"
     "aGxpUm5KaGhkejBOUEVuX0VBLU9adTlnU2xxZ0pvejA0aGJCb2JfSGcydm5jQmdGZDNsUzFyMUg2anM2WmlHcXdM"
     "cXRWdUVMWXl2dzdPVndQWTRMT2l2LXBsd0VjeUh3clVqUjJ3UExwZVZ2eHNQMHFqMVdsVVNsUmxGSnZxV1Jib1Mx"
     "cWRRMFdockpaT0gyb2lXcVI2cmxuUHlldXc0RXdoRjg4SGhrV1B5SUV5bUZJZnlkOHhRIiwiZSI6IkFRQUIifX0."
     "eyJzdWIiOiJhbm4iLCJleHAiOjE4MDAwMDAwNjB9.QjtvmQgjV_Iu4hnDvYXpwPpWPpFcSB1868QaLDSDeTrDDuR"
     "9M0cWlkyvt7eL8nBPL5VhB2ImwGJh4VCHOabMDDBg1qRj0CW9ReyfjxfPNT9GVByNk6fenEmay6IiAW4bL5QXHHp"
     "FcMQ5wxnTQtCGbHXuvIih0aiRA7CismiEAMa4MM707jFvD2epVNTm9AaRJxAVTaUReGPR3Oa_sXEXfu826IBCQPk"
     "UyTkZ2MPTOu-engReZtvObyTY_ztUB0pdsS7T1x2aNQZ7D00Xy0Ts5rd1hG_JQeGyb0LGc_YXjngw1YoVYIOV81d"
     "Rci89Pqm-XXvJUAzX4uAbH7YvvLyl3g"                                                                                                 },
    {"its own key set",                            "RS256", rsa_pem,
     "eyJhbGciOiJSUzI1NiIsImprdSI6Imh0dHA6Ly8xMjcuMC4wLjE6MS9rZXlzIiwia2lkIjoieCJ9.eyJzdWIiOiJ"
     "hbm4iLCJleHAiOjE4MDAwMDAwNjB9.GgCrpcufe-pAYU9JtVU2j2ehJXcq7pARtqxTxlCSI5KpJJm2Ajn5kJQILx"
     "AsM2_IYTNaSf0SRKI0jhKmXgmXpxBkiZ_0yHN5iIWfBpKKcspZfWNH5RuXDQC97l72d6E4U1kTgkyqw2xLmiyTP-"
     "Gx3kldRaBCtEVmZJHDhxshENVMSF2qX5VjgNVXkL2ZnyeiGivCpxmGRaZQ2Ges2Ecv2vsrvwRyUDI8Ep3z_2cZmv"
     "Bm7AWglQPhj2eWRQy17RQdLEQK5wB-cOOzgPo4IEMWq92EY5ANEl2GAkCeWtrwUooOKNWHPlQgyuF3zThe4lc_T2"
     "luBmDfOGBi07O9sOJOOQ"                                                                                                            },
};

static const char by_a[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJhIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwf"
    "Q.N9uw__EnlenEreXei6Vu5hTR6qPeRGRuzv-O9jeMWQF6JhfEh5dFkMwSocLfR3-h4dzkgQsNwAQ-lZ1W1yRn-m"
    "tC_wA938ShAZp1qZ2Konnhf4CF_3eq_cFocSD8qH9511e9laEGjGvbNLqkjUHyoob_YDsvI51htES5I2Jtb2yoMM"
    "56FPxpZ8aN5f--gsrk_II3BSe8SSRBcTDsrz045OK_7Ak1HypuvhQNFH8ZtsHe-u2tn8PCLzrJMjkS9lx7hNaCJC"
    "1ok16ogHftsMTFgD0kIi2s6fgkJlDhna_pTmxiVpvb7IAOSoKEaOhnwuxT5yck_VL8AyhWaZyg4zKnpQ";

static const char by_b[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJiIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwf"
    "Q.mCxF40FJkaStsplX1_XV098X74T6Gr_r0akI1XbUPMqmdOmaqGXZd3GvIZP4Acx_oxs8aXo8vLhd8gLHbXHU9y"
    "0Um1KwMmdOqBdwkG9gnQA8zcoAif_Djm6cUSEv9jEYX_ta3_NNgmz4SESox0s5OxKAOngH_zbcrJJQ7pQ_TSbg97"
    "0O2j2nPa38MrkCBgipchec8sd2Ozl5zfBv_isHz-nazALEwROoo7pqVVs9hgBnobxQ8B9y8NHpT_rJ9ltiEUeUy6"
    "9kVlH6Qv9PsNN59Cng5PZypiUwywaVDkIBE467ibin_vu52oVT0w0HaAzrczirmJaEXlKHwHwK3tRuYg";

static const char by_a_for_b[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJiIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwf"
    "Q.po4bCQXUuj-oKL3j_trzvyfWvyDP_Uj60yHEY0NhP4kmPU5HXwi1BqSI0RSsqZ_-K6n_xCnGhVek54OtJIXM3X"
    "csHIqcbrhKIjuK7Ci31nx3wr1hD6dkRJ8tLDCltGpFp5L1lkrqeJLOG-sXz0n00phpe7RoUKsWh7_Lh1JdErUZup"
    "C5Czy4WkQ6ODj8wi9V110QXq41mjXynV15bWBXeWRYzuSyQqNolOdHX1AK9izmzsVhErFSNR972t6Ivw-RDow0SS"
    "eXP7IZpVYQ8AehjcSh5AsJ8QOcZOxWv8MB1c1cW1a1U0Z8u_cJi-oKdTRTLaFQa8Y8niHLrEAXplz2LA";

static const char by_a_es[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJpc3MiOiJhIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwf"
    "Q.FQZj_NypCxM1WwqI4NS1SrpxCOrc5A6rveSN68Ctm9VZVRqf3S4ftFqc_zPe9QtQTJM16Nyg9ziC-qRzjOayAg";

static const char by_a_other_kid[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsyIn0.eyJpc3MiOiJhIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYw"
    "fQ.jWNyOYpEHEBflfmOUOprjkKmvdfsTZjOBm88TMjqSFxPvU40gTcdVT7OdOdIpyqWdIRKxdEO7fyGf1E8nQORu"
    "QJc_1LTZq89hBA150mD83knCAjkSjeCUW0hbqlMCaYzPfIKSu7Cjr_BnXQdRGZ8t3gm-jOGpVfNMSJ-mAHHu3xnD"
    "Ya0uaPhJ5NQycL3E2y7jRrs7_PKquKZi3lJlD1F-dXZWow7LOe2KkbS-vYmUUalBBqvT-Y0kMJWb7DATJwkdphNN"
    "ufOfo8rUi_5Wlo7mxlx9eRvCfzm60aStKPmS_bAZNfLdvkv3R9_AyyFAjQkOv_pUdYLM_3fVcdrUdYGbw";

static const char by_a_no_kid[] =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwfQ.UuGLRefBKcP6"
    "s5k1Amyd6jNevwbqFpq9fTmK8wIYxYPHuDQLXEnAudm72uN7wRVOvDGUCeHvzXGHNEN85bD_qyZXd_sw8AXezKvV"
    "Uq0BJHT7ZCSWr3b9zg8bSTRfkRMvTKvbskYINV5DlfpSe9yrRh6_NArsbhfSNcuAOXKGOLbtmUzbJXQGaUWl-2NK"
    "9mU8rKog6WN1TDoiIKgIFKwzmJKMno-je-DrsnGAdkn2bY0bXOAv9vzgCpIWVOc_oP9b5FnZZVzPi6FB_GoNebV_"
    "WLw4cqt84GwRAwXnJWNi3LOzfw500FuGn93X_dgIQ2swKPdWYezwNgzbF8IWGr1jWQ";

static const char by_a_ps[] =
    "eyJhbGciOiJQUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJhIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAwMDYwf"
    "Q.BVWHDbqwWGEC-SuJd1KxKUBnc2tlxUYrwIPwLZLK8vw2sJgtdZWdUbYqaiP03dO2qADK07r8zBsy5DYrHI6OqA"
    "kjAxtTTxRpI7Uq7w4VAEOmv2iYE2iRcfZg7d-UQevMWoG4ll-a4rDhJeakGII2YB5x_z6aUYEipESYmuA1sizU79"
    "4CNkU_2PUBE2RMQ7CxHpsdovfTnH-3Ug1r6Ef1xxPDLuy1lIT_6cn_STdmbHz0XXq8ouuUNlIBUSq2vYovkcnfkZ"
    "0M5-1o8VLAW7a_wlnLG8CI-sf_QxaSWDRN2K0H9_Fc-tDLRtCJWVpltYNdMxkCklmlOeFHr-EIKu3ZNA";
