/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that nobody here may call; included in front of every file by the build.  Each has a
 * bounded or checked sibling. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* OpenSSL's headers name parameters `rand`; who includes them says so in its meson.build. */
#ifdef TD_USES_OPENSSL
#    include <openssl/evp.h>
#endif

/* Fortified headers make macros of some. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strtok strncpy strncat gets
#pragma GCC poison gmtime localtime ctime asctime atoi atol atoll
/* Not poisoned, because OpenSSL's headers name parameters so. */
int rand(void) __attribute__((deprecated("use os/random.h or base/rng.h")));
void srand(unsigned seed) __attribute__((deprecated("use os/random.h or base/rng.h")));
