/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"
#include "bench.h"
#include <dirent.h>
#include <stdbool.h>

enum { PATH_BYTES_MAX = 300, TEXT_BYTES_MAX = 8192 };

static bool read_text(const char *path, char text[static TEXT_BYTES_MAX])
{
    FILE *file = fopen(path, "re");

    if (!file)
        return false;
    size_t len = fread(text, 1, TEXT_BYTES_MAX - 1, file);
    text[len] = '\0';
    fclose(file);
    return true;
}

/* schedstat's first number is the time on a processor in nanoseconds; stat counts in ticks of 10 ms.  A
 * thread that has ended is not in it: neither server here ends one before the last sample. */
static uint64_t cpu_of_threads(pid_t pid)
{
    char path[PATH_BYTES_MAX], text[TEXT_BYTES_MAX];
    uint64_t cpu_ns = 0;
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    while ((entry = readdir(threads))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, entry->d_name);
        if (read_text(path, text))
            cpu_ns += strtoull(text, NULL, 10);
    }
    closedir(threads);
    return cpu_ns;
}

struct process_usage process_usage(pid_t pid)
{
    char path[PATH_BYTES_MAX], text[TEXT_BYTES_MAX];
    struct process_usage usage = {.cpu_ns = cpu_of_threads(pid)};
    const char *rss;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    if (read_text(path, text) && (rss = strstr(text, "\nRss:")))
        usage.rss_bytes = strtoull(rss + 5, NULL, 10) * 1024;
    return usage;
}
