/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/imitation.h"
#include "base/err.h"
#include "base/slice.h"
#include "os/clock.h"
#include <errno.h>
#include <stdio.h>

#define START_MS UINT64_C(20000)
#define SAID_MAX ((size_t)4 * 1024)

/* Reads what is there of a pipe into `text`; false at its end. */
static bool read_on(int fd, struct td_buf *text)
{
    char chunk[512];
    int64_t n = td_read_some(fd, chunk, sizeof(chunk));

    if (n > 0)
        (void)!td_buf_put(text, td_slice(chunk, (size_t)n));
    return n > 0 || n == -EAGAIN;
}

static bool is_whole(const struct td_buf *line)
{
    return line->len > 0 && memchr(line->ptr, '\n', line->len);
}

/* Its first line is its URL. */
static int read_url(struct td_imitation *imitation)
{
    td_ns until = td_clock_ns() + START_MS * TD_NS_PER_MS;
    bool more = true;

    while (more && !is_whole(&imitation->url) && td_clock_ns() < until) {
        struct td_poll_item item = {.fd = imitation->process.out_fd};
        (void)td_poll(&item, 1, 1000);
        more = !item.ready || read_on(item.fd, &imitation->url);
    }
    if (!is_whole(&imitation->url)) {
        struct td_buf said = TD_BUF_INIT(SAID_MAX);
        while (said.err == 0 && read_on(imitation->process.err_fd, &said) && said.len > 0 &&
               said.ptr[said.len - 1] != '\n')
            ;
        if (said.len > 0)
            fwrite(said.ptr, 1, said.len, stderr);
        td_buf_done(&said);
        return more ? -ETIMEDOUT : TD_EPROTO;
    }
    char *end = memchr(imitation->url.ptr, '\n', imitation->url.len);
    *end = '\0';
    imitation->url.len = (size_t)(end - imitation->url.ptr);
    return 0;
}

int td_imitation_start(struct td_imitation *imitation, const char *examples)
{
    char script[4096];
    const char *const argv[] = {"python3", "-B", script, "--stay", NULL};

    *imitation = (struct td_imitation){.url = TD_BUF_INIT(SAID_MAX)};
    int len = snprintf(script, sizeof(script), "%s/imitation_llm.py", examples);
    if ((size_t)len >= sizeof(script))
        return -ENAMETOOLONG;
    /* A group of its own, so that Ctrl-C leaves it there for the jobs that are ended first. */
    int r = td_process_spawn(
        &(struct td_process_options){.argv = argv, .group = true, .ends_with_us = true},
        &imitation->process);
    if (r < 0)
        return r;
    imitation->runs = true;
    r = read_url(imitation);
    if (r < 0)
        td_imitation_stop(imitation);
    return r;
}

void td_imitation_stop(struct td_imitation *imitation)
{
    int status;

    if (imitation->runs) {
        struct td_poll_item ended = {.fd = imitation->process.pidfd};
        (void)!td_process_signal(&imitation->process, SIGKILL);
        (void)td_poll(&ended, 1, 5000);
        (void)!td_process_wait(&imitation->process, &status);
        td_process_close(&imitation->process);
    }
    imitation->runs = false;
    td_buf_done(&imitation->url);
}
