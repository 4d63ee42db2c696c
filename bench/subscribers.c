/* SPDX-License-Identifier: Apache-2.0 */
#include "subscribers.h"
#include "bench.h"
#include "interests.h"
#include "stamp.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

enum {
    INPUT_BYTES_MAX = 1 << 20, /* of one read, with what the one before left */
    REQUEST_BYTES_MAX = 4096,
    /* Clients of one source address.  The kernel looks for a free port in one half of its range of
     * 28,000 first, and at length once that is full. */
    PORTS_AN_ADDRESS = 10000,
};

enum { OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
enum { FRAME_COMPRESSED = 0x40 };

enum phase { PHASE_CONNECTING, PHASE_HANDSHAKE, PHASE_OPEN, PHASE_CLOSED };

/* What takes the chunked transfer coding (RFC 9112 §7.1) off a stream of events. */
struct chunks {
    enum { CHUNK_SIZE, CHUNK_LINE_END, CHUNK_DATA, CHUNK_DATA_END } at;
    uint64_t left;
};

struct subscriber {
    int fd;
    enum phase phase;
    bool ready;
    bool chunked;
    struct chunks chunks;
    uint32_t last;   /* highest sequence received */
    uint64_t window; /* bit k: last - k has been received */
    char *tail;      /* the start of a frame or line whose end has not arrived */
    size_t tail_len;
};

struct subscribers {
    struct subscribers_options options;
    struct subscriber *all;
    unsigned started;
    uint64_t measured_from_ns;
    struct subscribers_tally tally;
    z_stream inflater; /* for all: no window is taken over from one message to the next */
    char inflated[INPUT_BYTES_MAX];
    char input[INPUT_BYTES_MAX];
};

static void close_subscriber(struct subscribers *subscribers, struct subscriber *subscriber)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (subscriber->phase == PHASE_CLOSED)
        return;
    if (subscriber->ready)
        subscribers->tally.lost++;
    else
        subscribers->tally.refused++;
    setsockopt(subscriber->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(subscriber->fd);
    free(subscriber->tail);
    subscriber->tail = NULL;
    subscriber->tail_len = 0;
    subscriber->phase = PHASE_CLOSED;
}

static void count_delivery(struct subscribers *subscribers, struct subscriber *subscriber,
                           const struct stamp *stamp, uint64_t now_ns)
{
    struct subscribers_tally *tally = &subscribers->tally;

    if (stamp->sequence > subscriber->last) {
        uint32_t step = stamp->sequence - subscriber->last;
        subscriber->window = step < 64 ? subscriber->window << step | 1 : 1;
        subscriber->last = stamp->sequence;
    } else {
        uint32_t back = subscriber->last - stamp->sequence;
        uint64_t bit = back < 64 ? UINT64_C(1) << back : 0;
        if (subscriber->window & bit) {
            tally->duplicates++;
            return;
        }
        subscriber->window |= bit;
        tally->out_of_order++;
    }
    tally->delivered++;
    if (stamp->due_ns >= subscribers->measured_from_ns)
        histogram_add(&tally->latency, now_ns > stamp->due_ns ? now_ns - stamp->due_ns : 0);
}

/* One message, or the part of a stream that ends with a line. */
static void take_text(struct subscribers *subscribers, struct subscriber *subscriber,
                      const char *text, size_t len, uint64_t now_ns)
{
    const char *ready = subscribers->options.ready;
    const char *end = text + len;
    struct stamp stamp;

    if (!subscriber->ready && (!ready || memmem(text, len, ready, strlen(ready)))) {
        subscriber->ready = true;
        subscribers->tally.ready++;
    }
    while ((text = stamp_find(text, end, &stamp)))
        count_delivery(subscribers, subscriber, &stamp, now_ns);
}

/* RFC 7692 §7.2.2, but that the four bytes that were left out of a message say nothing more of it. */
static void take_compressed(struct subscribers *subscribers, struct subscriber *subscriber,
                            const char *payload, size_t len, uint64_t now_ns)
{
    z_stream *z = &subscribers->inflater;

    inflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)payload;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)subscribers->inflated;
    z->avail_out = sizeof(subscribers->inflated);
    if (inflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0)
        bench_fail("a message can't be inflated");
    take_text(subscribers, subscriber, subscribers->inflated, z->total_out, now_ns);
}

/* RFC 6455 §5.5.3: a pong holds what its ping held.  All-zero masking keys are keys. */
static void answer_ping(struct subscribers *subscribers, struct subscriber *subscriber,
                        const char *payload, size_t len)
{
    char pong[2 + 4 + 125] = {(char)(0x80 | OPCODE_PONG), (char)(0x80 | len)};

    if (len > 125) {
        close_subscriber(subscribers, subscriber);
        return;
    }
    memcpy(pong + 6, payload, len);
    if (send(subscriber->fd, pong, 6 + len, MSG_NOSIGNAL) < 0)
        close_subscriber(subscribers, subscriber);
}

/* Takes the frames that stand whole in `bytes`.  Returns the bytes they took. */
static size_t take_frames(struct subscribers *subscribers, struct subscriber *subscriber,
                          const char *bytes, size_t len, uint64_t now_ns)
{
    size_t used = 0;

    while (len - used >= 2 && subscriber->phase == PHASE_OPEN) {
        const uint8_t *head = (const uint8_t *)bytes + used;
        uint64_t payload_len = head[1] & 0x7f;
        size_t head_len = payload_len == 126 ? 4 : payload_len == 127 ? 10 : 2;
        if (len - used < head_len)
            break;
        for (size_t i = 2; i < head_len; i++)
            payload_len = (i == 2 ? 0 : payload_len << 8) | head[i];
        if (len - used - head_len < payload_len)
            break;
        const char *payload = bytes + used + head_len;
        unsigned opcode = head[0] & 0x0f;
        if (opcode == OPCODE_CLOSE)
            close_subscriber(subscribers, subscriber);
        else if (opcode == OPCODE_PING)
            answer_ping(subscribers, subscriber, payload, payload_len);
        else if (opcode != OPCODE_PONG && (head[0] & FRAME_COMPRESSED))
            take_compressed(subscribers, subscriber, payload, payload_len, now_ns);
        else if (opcode != OPCODE_PONG)
            take_text(subscribers, subscriber, payload, payload_len, now_ns);
        used += head_len + payload_len;
    }
    return used;
}

/* Takes the lines that stand whole in `bytes`.  Returns the bytes they took. */
static size_t take_lines(struct subscribers *subscribers, struct subscriber *subscriber,
                         const char *bytes, size_t len, uint64_t now_ns)
{
    const char *newline = memrchr(bytes, '\n', len);

    if (!newline)
        return 0;
    size_t used = (size_t)(newline - bytes) + 1;
    take_text(subscribers, subscriber, bytes, used, now_ns);
    return used;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Removes the chunks' framing in place.  Returns the bytes that are left. */
static size_t unchunk(struct chunks *chunks, char *bytes, size_t len)
{
    size_t out = 0;

    for (size_t i = 0; i < len;) {
        if (chunks->at == CHUNK_DATA) {
            size_t run = TD_MIN(len - i, chunks->left);
            memmove(bytes + out, bytes + i, run);
            out += run;
            i += run;
            chunks->left -= run;
            chunks->at = chunks->left == 0 ? CHUNK_DATA_END : CHUNK_DATA;
            continue;
        }
        char c = bytes[i++];
        if (c == '\n')
            chunks->at = chunks->at == CHUNK_DATA_END ? CHUNK_SIZE : CHUNK_DATA;
        else if (chunks->at == CHUNK_SIZE && isxdigit((unsigned char)c))
            chunks->left = chunks->left << 4 | hex_digit(c);
        else if (chunks->at == CHUNK_SIZE)
            chunks->at = CHUNK_LINE_END;
    }
    return out;
}

/* Returns the bytes of the handshake's answer, 0 while it is not whole. */
static size_t take_answer(struct subscribers *subscribers, struct subscriber *subscriber,
                          char *bytes, size_t len)
{
    const char *wanted = subscribers->options.sse ? "HTTP/1.1 200" : "HTTP/1.1 101";
    char *blank = memmem(bytes, len, "\r\n\r\n", 4);

    if (!blank)
        return 0;
    *blank = '\0';
    bool agreed =
        !subscribers->options.deflate || strcasestr(bytes, "\r\nSec-WebSocket-Extensions:");
    if (strncmp(bytes, wanted, strlen(wanted)) != 0 || !agreed) {
        if (subscribers->tally.refused == 0)
            fprintf(stderr, "load: a subscriber is refused: %.300s\n", bytes);
        close_subscriber(subscribers, subscriber);
        return len;
    }
    subscriber->chunked = strcasestr(bytes, "\r\nTransfer-Encoding: chunked") != NULL;
    subscriber->phase = PHASE_OPEN;
    if (!subscribers->options.ready)
        take_text(subscribers, subscriber, bytes, 0, 0);
    return (size_t)(blank - bytes) + 4;
}

static void keep_tail(struct subscriber *subscriber, const char *bytes, size_t len)
{
    if (len == 0 && !subscriber->tail)
        return;
    free(subscriber->tail);
    subscriber->tail = len > 0 ? bench_alloc(len, 1) : NULL;
    subscriber->tail_len = len;
    if (len > 0)
        memcpy(subscriber->tail, bytes, len);
}

/* Reads once and takes what is whole.  Returns whether there may be more. */
static bool read_once(struct subscribers *subscribers, struct subscriber *subscriber)
{
    char *input = subscribers->input;
    size_t kept = subscriber->tail_len;

    if (kept >= INPUT_BYTES_MAX / 2)
        bench_fail("a message is longer than %d bytes", INPUT_BYTES_MAX / 2);
    if (kept > 0)
        memcpy(input, subscriber->tail, kept);
    ssize_t got = recv(subscriber->fd, input + kept, INPUT_BYTES_MAX - kept, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            close_subscriber(subscribers, subscriber);
        return false;
    }
    subscribers->tally.bytes += (uint64_t)got;
    uint64_t now_ns = bench_now_ns();
    size_t len = kept + (size_t)got, used = 0;
    bool full = len == INPUT_BYTES_MAX;
    size_t fresh = kept;
    if (subscriber->phase == PHASE_HANDSHAKE)
        fresh = used = take_answer(subscribers, subscriber, input, len);
    if (subscriber->phase == PHASE_OPEN) {
        if (subscriber->chunked)
            len = fresh + unchunk(&subscriber->chunks, input + fresh, len - fresh);
        used += subscribers->options.sse
                    ? take_lines(subscribers, subscriber, input + used, len - used, now_ns)
                    : take_frames(subscribers, subscriber, input + used, len - used, now_ns);
    }
    if (subscriber->phase == PHASE_CLOSED)
        return false;
    keep_tail(subscriber, input + used, len - used);
    return full;
}

/* Writes `text` to `out` with the first `name` in it replaced by `value`.  Returns its length. */
static size_t put_replaced(char *out, size_t room, const char *text, const char *name,
                           const char *value)
{
    const char *at = strstr(text, name);
    int before = at ? (int)(at - text) : 0;
    int len = at ? snprintf(out, room, "%.*s%s%s", before, text, value, at + strlen(name))
                 : snprintf(out, room, "%s", text);

    if (len < 0 || (size_t)len >= room)
        bench_fail("the path is too long");
    return (size_t)len;
}

static void put_interests(const struct subscribers_options *options, unsigned number, char *out,
                          size_t room)
{
    unsigned topics[INTERESTS_MAX];
    size_t len = 0;

    interests_of(number, options->topics, options->interests, topics);
    *out = '\0';
    for (unsigned i = 0; i < options->interests; i++) {
        char digits[TOPIC_DIGITS + 1];
        snprintf(digits, sizeof(digits), "%0*u", TOPIC_DIGITS, topics[i] % TOPICS_MAX);
        if (i > 0)
            out[len++] = '&';
        len += put_replaced(out + len, room - len - 1, options->interest, "{topic}", digits);
    }
}

static void put_path(const struct subscribers_options *options, unsigned number, char *out,
                     size_t room)
{
    char interests[REQUEST_BYTES_MAX / 2], numbered[REQUEST_BYTES_MAX / 2], digits[16];

    snprintf(digits, sizeof(digits), "%u", number);
    put_interests(options, number, interests, sizeof(interests));
    put_replaced(numbered, sizeof(numbered), options->path, "{n}", digits);
    put_replaced(out, room, numbered, "{interests}", interests);
}

static void send_handshake(struct subscribers *subscribers, struct subscriber *subscriber)
{
    const struct subscribers_options *options = &subscribers->options;
    unsigned number = (unsigned)(subscriber - subscribers->all);
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
        .data.u64 = number,
    };
    char path[REQUEST_BYTES_MAX / 2], request[REQUEST_BYTES_MAX];

    put_path(options, number, path, sizeof(path));
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench\r\n%s%s%s%s%s\r\n",
                       path, options->token ? "Authorization: Bearer " : "",
                       options->token ? options->token : "", options->token ? "\r\n" : "",
                       options->deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "",
                       options->sse ? "Accept: text/event-stream\r\n"
                                    : "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                      "Sec-WebSocket-Version: 13\r\n"
                                      "Sec-WebSocket-Key: dGlkaW5ncyBiZW5jaG1hcg==\r\n");
    if (len < 0 || (size_t)len >= sizeof(request))
        bench_fail("the token is too long");
    subscriber->phase = PHASE_HANDSHAKE;
    epoll_ctl(options->epoll, EPOLL_CTL_MOD, subscriber->fd, &event);
    if (send(subscriber->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        close_subscriber(subscribers, subscriber);
}

static void start(struct subscribers *subscribers, unsigned number)
{
    struct subscriber *subscriber = &subscribers->all[number];
    const struct sockaddr_in *server = &subscribers->options.server;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = number};
    int one = 1;

    subscriber->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (subscriber->fd < 0)
        bench_fail("subscriber %u: %s", number, strerror(errno));
    setsockopt(subscriber->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (subscribers->options.count > PORTS_AN_ADDRESS) {
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PORTS_AN_ADDRESS);
        setsockopt(subscriber->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(subscriber->fd, (struct sockaddr *)&source, sizeof(source)) < 0)
            bench_fail("can't use source address %s", inet_ntoa(source.sin_addr));
    }
    subscriber->phase = PHASE_CONNECTING;
    if (connect(subscriber->fd, (const struct sockaddr *)server, sizeof(*server)) < 0 &&
        errno != EINPROGRESS) {
        close_subscriber(subscribers, subscriber);
        return;
    }
    epoll_ctl(subscribers->options.epoll, EPOLL_CTL_ADD, subscriber->fd, &event);
}

struct subscribers *subscribers_new(const struct subscribers_options *options)
{
    struct subscribers *subscribers = bench_alloc(1, sizeof(*subscribers));

    subscribers->options = *options;
    subscribers->all = bench_alloc(options->count, sizeof(*subscribers->all));
    subscribers->measured_from_ns = UINT64_MAX;
    if (options->deflate && inflateInit2(&subscribers->inflater, -MAX_WBITS) != Z_OK)
        bench_fail("no memory to inflate with");
    return subscribers;
}

void subscribers_free(struct subscribers *subscribers)
{
    for (unsigned i = 0; i < subscribers->started; i++)
        close_subscriber(subscribers, &subscribers->all[i]);
    inflateEnd(&subscribers->inflater);
    free(subscribers->all);
    free(subscribers);
}

void subscribers_connect(struct subscribers *subscribers)
{
    const struct subscribers_tally *tally = &subscribers->tally;
    unsigned count = subscribers->options.count;

    while (subscribers->started < count && subscribers->started - tally->ready - tally->refused <
                                               subscribers->options.handshakes_max)
        start(subscribers, subscribers->started++);
}

void subscribers_serve(struct subscribers *subscribers, unsigned number, bool ended)
{
    struct subscriber *subscriber = &subscribers->all[number];
    int error = 0;
    socklen_t len = sizeof(error);

    if (subscriber->phase == PHASE_CONNECTING) {
        getsockopt(subscriber->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0)
            close_subscriber(subscribers, subscriber);
        else
            send_handshake(subscribers, subscriber);
        return;
    }
    while (subscriber->phase != PHASE_CLOSED && (read_once(subscribers, subscriber) || ended))
        ;
}

void subscribers_measure_from(struct subscribers *subscribers, uint64_t from_ns)
{
    subscribers->measured_from_ns = from_ns;
}

const struct subscribers_tally *subscribers_tally(const struct subscribers *subscribers)
{
    return &subscribers->tally;
}
