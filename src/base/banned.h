/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that nobody here may call; included in front of every file by the build.  Each has a
 * bounded or checked sibling. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fortified headers make macros of some. */
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strncpy
#undef strncat

#pragma GCC poison strcpy strcat sprintf vsprintf strtok strncpy strncat gets
#pragma GCC poison gmtime localtime ctime asctime atoi atol atoll rand srand
