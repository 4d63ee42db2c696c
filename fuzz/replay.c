/* SPDX-License-Identifier: Apache-2.0 */
/* Runs each file of a folder through a fuzz target: its seeds and old crashes, as an ordinary test. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static void replay(const char *folder, const char *name)
{
    char path[4096];
    FILE *file = NULL;
    size_t size = 0, cap = 1 << 20;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    uint8_t *bytes = malloc(cap);
    if (!bytes || !(file = fopen(path, "rb")))
        abort();
    size = fread(bytes, 1, cap, file);
    fclose(file);
    uint8_t *exact = realloc(bytes, size ? size : 1); /* so that the sanitizer sees a look beyond */
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    int replayed = 0;

    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && ++replayed)
            replay(argv[1], entry->d_name);
    printf("%d inputs\n", replayed);
    if (folder)
        closedir(folder);
    return replayed > 0 ? 0 : 1;
}
