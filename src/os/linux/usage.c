/* SPDX-License-Identifier: Apache-2.0 */
#include "os/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static td_ns ns_of(struct timeval time)
{
    return (td_ns)time.tv_sec * TD_NS_PER_S + (td_ns)time.tv_usec * 1000;
}

static void read_memory(struct td_usage *usage)
{
    unsigned long long pages, resident;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return;
    if (fscanf(file, "%llu %llu", &pages, &resident) == 2) {
        usage->virtual_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
        usage->resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    fclose(file);
}

/* Linux 6.2 and later tell the number as the directory's size. */
static uint64_t count_descriptors(void)
{
    struct stat stat_;
    uint64_t n = 0;

    if (stat("/proc/self/fd", &stat_) == 0 && stat_.st_size > 0)
        return (uint64_t)stat_.st_size;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n > 0 ? n - 1 : 0; /* without the one that was opened for it */
}

void td_usage_read(struct td_usage *ret_usage)
{
    struct td_usage usage = {0};
    struct rusage used;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &used) == 0)
        usage.cpu = ns_of(used.ru_utime) + ns_of(used.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage.descriptors_max = limit.rlim_cur;
    read_memory(&usage);
    usage.descriptors = count_descriptors();
    *ret_usage = usage;
}
