/* SPDX-License-Identifier: Apache-2.0 */
#include "publishers.h"
#include "bench.h"
#include "interests.h"
#include "stamp.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_BYTES_MAX = 64 * 1024,
    HEAD_BYTES_MAX = 4096,
    EVENT_BYTES_MAX = 64 * 1024,
};

struct publisher {
    int fd;
    char *out; /* room for `pipeline` requests */
    size_t out_len, out_sent;
    uint64_t *sent_ns; /* of the requests under way, a ring of `pipeline` */
    unsigned oldest, under_way;
    char in[INPUT_BYTES_MAX]; /* the answers' heads; bodies are skipped */
    size_t in_len;
    uint64_t body_left;
};

struct publishers {
    struct publishers_options options;
    struct publisher *all;
    unsigned next;
    uint32_t sequence;
    char *request; /* one request, whose stamps and topics are written over each time */
    size_t request_len, first_event_at, event_len, stamp_at, topic_at;
    bool has_topic;
    struct publishers_tally tally;
};

/* Appends `text` with its placeholders filled in to `out`, and notes where they came to lie. */
static size_t put_event(struct publishers *publishers, char *out)
{
    const struct publishers_options *options = &publishers->options;
    static const char data_name[] = "{data}", topic_name[] = "{topic}";
    static const char before[] = "{\"at\":\"", between[] = "\",\"pad\":\"", after[] = "\"}";
    unsigned least = sizeof(before) + sizeof(between) + sizeof(after) - 3 + STAMP_LEN;
    size_t len = 0;

    for (const char *text = options->event; *text;) {
        if (len + options->payload_bytes + TOPIC_DIGITS >= EVENT_BYTES_MAX)
            bench_fail("an event is longer than %d bytes", EVENT_BYTES_MAX);
        if (strncmp(text, topic_name, sizeof(topic_name) - 1) == 0) {
            publishers->has_topic = true;
            publishers->topic_at = len;
            len += TOPIC_DIGITS;
            text += sizeof(topic_name) - 1;
        } else if (strncmp(text, data_name, sizeof(data_name) - 1) == 0) {
            if (options->payload_bytes < least)
                bench_fail("a payload has at least %u bytes", least);
            publishers->stamp_at = len + sizeof(before) - 1;
            memcpy(out + len, before, sizeof(before) - 1);
            memcpy(out + publishers->stamp_at + STAMP_LEN, between, sizeof(between) - 1);
            size_t pad_at = publishers->stamp_at + STAMP_LEN + sizeof(between) - 1;
            len += options->payload_bytes;
            memset(out + pad_at, 'x', len - pad_at);
            memcpy(out + len - (sizeof(after) - 1), after, sizeof(after) - 1);
            text += sizeof(data_name) - 1;
        } else {
            out[len++] = *text++;
        }
    }
    if (publishers->stamp_at == 0)
        bench_fail("the event has no {data}");
    return len;
}

static void build_request(struct publishers *publishers)
{
    const struct publishers_options *options = &publishers->options;
    bool array = options->batch > 1;
    char *event = bench_alloc(EVENT_BYTES_MAX, 1);

    publishers->event_len = put_event(publishers, event);
    size_t step = publishers->event_len + array; /* with the comma or bracket after it */
    size_t body_len = step * options->batch + array;
    publishers->request = bench_alloc(HEAD_BYTES_MAX + body_len, 1);
    int head =
        snprintf(publishers->request, HEAD_BYTES_MAX,
                 "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                 "%s%s%sContent-Length: %zu\r\n\r\n",
                 options->path, options->token ? "Authorization: Bearer " : "",
                 options->token ? options->token : "", options->token ? "\r\n" : "", body_len);
    if (head < 0 || head >= HEAD_BYTES_MAX)
        bench_fail("the path or the token is too long");
    char *at = publishers->request + head;
    if (array)
        *at++ = '[';
    publishers->first_event_at = (size_t)(at - publishers->request);
    for (unsigned i = 0; i < options->batch; i++, at += step) {
        memcpy(at, event, publishers->event_len);
        if (array)
            at[publishers->event_len] = i + 1 < options->batch ? ',' : ']';
    }
    publishers->request_len = (size_t)(at - publishers->request);
    free(event);
}

static void stamp_request(struct publishers *publishers, uint64_t due_ns)
{
    const struct publishers_options *options = &publishers->options;
    char *event = publishers->request + publishers->first_event_at;

    for (unsigned i = 0; i < options->batch; i++) {
        struct stamp stamp = {.sequence = ++publishers->sequence, .due_ns = due_ns};
        stamp_put(event + publishers->stamp_at, &stamp);
        if (publishers->has_topic) {
            char digits[TOPIC_DIGITS + 1];
            snprintf(digits, sizeof(digits), "%0*u", TOPIC_DIGITS,
                     stamp.sequence % options->topics % TOPICS_MAX);
            memcpy(event + publishers->topic_at, digits, TOPIC_DIGITS);
        }
        event += publishers->event_len + (options->batch > 1);
    }
}

bool publishers_add(struct publishers *publishers, uint64_t due_ns)
{
    const struct publishers_options *options = &publishers->options;

    for (unsigned tried = 0; tried < options->connections; tried++) {
        struct publisher *publisher = &publishers->all[publishers->next];
        publishers->next = (publishers->next + 1) % options->connections;
        if (publisher->under_way == options->pipeline)
            continue;
        stamp_request(publishers, due_ns);
        memmove(publisher->out, publisher->out + publisher->out_sent,
                publisher->out_len - publisher->out_sent);
        publisher->out_len -= publisher->out_sent;
        publisher->out_sent = 0;
        memcpy(publisher->out + publisher->out_len, publishers->request, publishers->request_len);
        publisher->out_len += publishers->request_len;
        publisher->sent_ns[(publisher->oldest + publisher->under_way) % options->pipeline] =
            bench_now_ns();
        publisher->under_way++;
        publishers->tally.sent += options->batch;
        return true;
    }
    return false;
}

static void flush(struct publisher *publisher)
{
    if (publisher->out_sent == publisher->out_len)
        return;
    ssize_t sent = send(publisher->fd, publisher->out + publisher->out_sent,
                        publisher->out_len - publisher->out_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        bench_fail("a publisher's connection: %s", strerror(errno));
    if (sent > 0)
        publisher->out_sent += (size_t)sent;
}

void publishers_flush(struct publishers *publishers)
{
    for (unsigned i = 0; i < publishers->options.connections; i++)
        flush(&publishers->all[i]);
}

/* Counts the answer whose head is the text `head`. */
static void take_answer(struct publishers *publishers, struct publisher *publisher, char *head)
{
    static const char length_name[] = "\r\nContent-Length:";
    const char *length = strcasestr(head, length_name);
    unsigned batch = publishers->options.batch;

    if (!length)
        bench_fail("an answer without Content-Length: %.300s", head);
    if (publisher->under_way == 0)
        bench_fail("an answer to no request: %.300s", head);
    publisher->body_left = strtoull(length + sizeof(length_name) - 1, NULL, 10);
    if (strncmp(head, "HTTP/1.1 2", 10) == 0) {
        publishers->tally.acked += batch;
    } else {
        if (publishers->tally.refused == 0)
            fprintf(stderr, "load: a publish is refused: %.300s\n", head);
        publishers->tally.refused += batch;
    }
    histogram_add(&publishers->tally.ack, bench_now_ns() - publisher->sent_ns[publisher->oldest]);
    publisher->oldest = (publisher->oldest + 1) % publishers->options.pipeline;
    publisher->under_way--;
}

static void take_answers(struct publishers *publishers, struct publisher *publisher)
{
    char *at = publisher->in, *end = publisher->in + publisher->in_len;

    for (;;) {
        size_t skipped = TD_MIN((size_t)(end - at), publisher->body_left);
        at += skipped;
        publisher->body_left -= skipped;
        char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (!blank)
            break;
        *blank = '\0';
        take_answer(publishers, publisher, at);
        at = blank + 4;
    }
    publisher->in_len = (size_t)(end - at);
    memmove(publisher->in, at, publisher->in_len);
}

void publishers_serve(struct publishers *publishers, unsigned number)
{
    struct publisher *publisher = &publishers->all[number];

    flush(publisher);
    for (;;) {
        size_t room = sizeof(publisher->in) - publisher->in_len;
        if (room == 0)
            bench_fail("an answer's head is longer than %zu bytes", sizeof(publisher->in));
        ssize_t got = recv(publisher->fd, publisher->in + publisher->in_len, room, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            bench_fail("a publisher's connection: %s", got == 0 ? "closed" : strerror(errno));
        publisher->in_len += (size_t)got;
        take_answers(publishers, publisher);
        if ((size_t)got < room)
            return;
    }
}

static void connect_publisher(struct publishers *publishers, unsigned number)
{
    const struct publishers_options *options = &publishers->options;
    struct publisher *publisher = &publishers->all[number];
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLET,
        .data.u64 = PUBLISHERS_FLAG | number,
    };
    int one = 1;

    publisher->out = bench_alloc(options->pipeline, publishers->request_len);
    publisher->sent_ns = bench_alloc(options->pipeline, sizeof(*publisher->sent_ns));
    publisher->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (publisher->fd < 0 || connect(publisher->fd, (const struct sockaddr *)&options->server,
                                     sizeof(options->server)) < 0)
        bench_fail("a publisher can't connect: %s", strerror(errno));
    setsockopt(publisher->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(publisher->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(options->epoll, EPOLL_CTL_ADD, publisher->fd, &event);
}

struct publishers *publishers_new(const struct publishers_options *options)
{
    struct publishers *publishers = bench_alloc(1, sizeof(*publishers));

    publishers->options = *options;
    publishers->all = bench_alloc(options->connections, sizeof(*publishers->all));
    build_request(publishers);
    for (unsigned i = 0; i < options->connections; i++)
        connect_publisher(publishers, i);
    return publishers;
}

void publishers_free(struct publishers *publishers)
{
    if (!publishers)
        return;
    for (unsigned i = 0; i < publishers->options.connections; i++) {
        close(publishers->all[i].fd);
        free(publishers->all[i].out);
        free(publishers->all[i].sent_ns);
    }
    free(publishers->all);
    free(publishers->request);
    free(publishers);
}

const struct publishers_tally *publishers_tally(const struct publishers *publishers)
{
    return &publishers->tally;
}
