/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator: subscribers and publishers in one thread and one loop; see usage() and README.md. */
#include "bench.h"
#include "interests.h"
#include "publishers.h"
#include "report.h"
#include "subscribers.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 256, DESCRIPTORS_RESERVED = 64 };

#define CONNECT_LIMIT_NS (120 * BENCH_NS_PER_S)
#define SETTLE_NS        (BENCH_NS_PER_S / 2)
#define SILENCE_MAX_NS   (5 * BENCH_NS_PER_S) /* awaited for what is missing at the end */

struct load {
    int epoll;
    pid_t server;
    uint64_t rate;   /* requests a second; 0: as fast as the server answers */
    uint64_t window; /* events under way; see is_full() */
    uint64_t warmup_ns, measured_ns;
    uint64_t publish_max; /* events; 0: as many as the time allows */
    uint64_t catch_up;    /* events that each subscriber is owed from the start */
    uint32_t *audience;   /* with interests: subscribers of each topic */
    uint64_t expected;    /* deliveries of what was published */
    uint64_t started_ns, requests;
    struct subscribers_options subscribers_options;
    struct publishers_options publishers_options;
    struct subscribers *subscribers;
    struct publishers *publishers;
};

static void usage(void)
{
    fputs(
        "usage: load HOST:PORT [option]...\n"
        "  --path P          what subscribers GET; {n}: their number, {interests}: see below (/)\n"
        "  --subscribers N   how many (0)\n"
        "  --sse             by Server-Sent Events; otherwise by WebSocket\n"
        "  --deflate         by WebSocket with permessage-deflate\n"
        "  --ready TEXT      a subscription is in force once this was received\n"
        "  --handshakes N    under way at once (128)\n"
        "  --catch-up N      publish nothing; each subscriber is owed N events from the start\n"
        "  --publish P       publish by POST to this path\n"
        "  --token T         sent as Authorization: Bearer\n"
        "  --event TEMPLATE  {data}: the payload, {topic}: five digits ({data})\n"
        "  --topics N        numbers that {topic} runs through (1)\n"
        "  --interests N     topics of each subscriber, by chance of --topics\n"
        "  --interest TEXT   what stands for each in --path; {topic}: five digits (topic={topic})\n"
        "  --payload BYTES   (160)\n"
        "  --batch N         events in a request, as a JSON array (1)\n"
        "  --connections N   of publishers (1)\n"
        "  --pipeline N      requests under way on each (16)\n"
        "  --rate N          requests a second, stamped with the time they were due\n"
        "  --window N        no more events under way that have not reached the subscribers\n"
        "  --events N        stop after so many, and measure from the first to the last answer\n"
        "  --seconds N       measured time (3); --warmup N: before it (1)\n"
        "  --pid P           the server, whose processor time and memory are reported\n"
        "Prints one line of JSON.\n",
        stderr);
    exit(2);
}

static struct sample take_sample(const struct load *load)
{
    struct timespec own;
    struct sample sample = {
        .at_ns = bench_now_ns(),
        .delivered = subscribers_tally(load->subscribers)->delivered,
        .bytes = subscribers_tally(load->subscribers)->bytes,
        .acked = load->publishers ? publishers_tally(load->publishers)->acked : 0,
    };

    if (load->server > 0)
        sample.server = process_usage(load->server);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    sample.own_cpu_ns = (uint64_t)own.tv_sec * BENCH_NS_PER_S + (uint64_t)own.tv_nsec;
    return sample;
}

/* Waits until something happens, at most until `until_ns`, and serves it. */
static void turn(struct load *load, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_A_TURN];
    uint64_t now_ns = bench_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {
        .tv_sec = (time_t)(wait_ns / BENCH_NS_PER_S),
        .tv_nsec = (long)(wait_ns % BENCH_NS_PER_S),
    };
    int count = epoll_pwait2(load->epoll, events, EVENTS_A_TURN, &wait, NULL);

    if (count < 0 && errno != EINTR)
        bench_fail("epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        unsigned number = (unsigned)(events[i].data.u64 & UINT32_MAX);
        if (events[i].data.u64 & PUBLISHERS_FLAG)
            publishers_serve(load->publishers, number);
        else
            subscribers_serve(load->subscribers, number, events[i].events & EPOLLRDHUP);
    }
}

static void rest(struct load *load, uint64_t duration_ns)
{
    uint64_t until_ns = bench_now_ns() + duration_ns;

    while (bench_now_ns() < until_ns)
        turn(load, until_ns);
}

/* Whether as many events are under way as may be: those sent, less those that have reached all, where a
 * delivery counts as one part of an event.  So there is room for one more with as many deliveries as an event
 * has on the average, whoever gets them, and what is published comes evenly, also from a server that sends in groups. */
static bool is_full(const struct load *load)
{
    const struct subscribers_tally *subscribers = subscribers_tally(load->subscribers);
    const struct subscribers_options *options = &load->subscribers_options;
    uint64_t mean = subscribers->ready;

    if (load->audience)
        mean = TD_MAX(mean * options->interests / options->topics, (uint64_t)1);
    uint64_t room = load->window > 0 ? (load->window - 1) * mean : UINT64_MAX;
    return load->expected > subscribers->delivered &&
           load->expected - subscribers->delivered > room;
}

/* Counts the deliveries that the events with these sequences come to. */
static void expect(struct load *load, uint64_t first, uint64_t end)
{
    uint64_t ready = subscribers_tally(load->subscribers)->ready;

    for (uint64_t sequence = first; sequence < end; sequence++)
        load->expected +=
            load->audience ? load->audience[sequence % load->publishers_options.topics] : ready;
}

static void count_audience(struct load *load)
{
    const struct subscribers_options *options = &load->subscribers_options;
    unsigned topics[INTERESTS_MAX];

    load->audience = bench_alloc(options->topics, sizeof(*load->audience));
    for (unsigned number = 0; number < options->count; number++) {
        interests_of(number, options->topics, options->interests, topics);
        for (unsigned i = 0; i < options->interests; i++)
            load->audience[topics[i]]++;
    }
}

/* Publishes what is due.  Returns when the next is due, at most `end_ns`. */
static uint64_t pump(struct load *load, uint64_t end_ns)
{
    const struct publishers_tally *publishers = publishers_tally(load->publishers);
    uint64_t next_ns = end_ns;

    for (;;) {
        uint64_t due_ns = bench_now_ns();
        if (load->publish_max > 0 && publishers->sent >= load->publish_max)
            break;
        if (is_full(load))
            break;
        if (load->rate > 0) {
            uint64_t now_ns = due_ns;
            due_ns = load->started_ns + load->requests * BENCH_NS_PER_S / load->rate;
            if (due_ns > now_ns) {
                next_ns = TD_MIN(end_ns, due_ns);
                break;
            }
        }
        uint64_t sent = publishers->sent;
        if (due_ns >= end_ns || !publishers_add(load->publishers, due_ns))
            break;
        load->requests++;
        expect(load, sent + 1, publishers->sent + 1);
    }
    publishers_flush(load->publishers);
    return next_ns;
}

static void publish_until(struct load *load, uint64_t end_ns)
{
    while (bench_now_ns() < end_ns)
        turn(load, pump(load, end_ns));
}

static void publish_all(struct load *load)
{
    const struct publishers_tally *tally = publishers_tally(load->publishers);

    while (tally->acked + tally->refused < load->publish_max)
        turn(load, pump(load, UINT64_MAX));
}

/* Serves until `expected` deliveries and all answers have arrived, or nothing has for a while. */
static void drain(struct load *load, uint64_t expected)
{
    const struct subscribers_tally *subscribers = subscribers_tally(load->subscribers);
    const struct publishers_tally *publishers =
        load->publishers ? publishers_tally(load->publishers) : NULL;
    uint64_t last = UINT64_MAX, silent_from_ns = 0;

    for (;;) {
        uint64_t answered = publishers ? publishers->acked + publishers->refused : 0;
        uint64_t arrived = subscribers->delivered + answered;
        if (subscribers->delivered >= expected && (!publishers || answered == publishers->sent))
            return;
        if (arrived != last) {
            last = arrived;
            silent_from_ns = bench_now_ns();
        }
        if (bench_now_ns() - silent_from_ns > SILENCE_MAX_NS)
            return;
        turn(load, silent_from_ns + SILENCE_MAX_NS + 1);
    }
}

static void connect_all(struct load *load)
{
    const struct subscribers_tally *tally = subscribers_tally(load->subscribers);
    uint64_t limit_ns = bench_now_ns() + CONNECT_LIMIT_NS;

    while (tally->ready + tally->refused < load->subscribers_options.count) {
        if (bench_now_ns() >= limit_ns)
            bench_fail("%u of %u subscribers are ready", tally->ready,
                       load->subscribers_options.count);
        subscribers_connect(load->subscribers);
        turn(load, limit_ns);
    }
}

static void run(struct load *load)
{
    struct report report = {.start = take_sample(load)};
    const struct subscribers_tally *subscribers = subscribers_tally(load->subscribers);

    if (load->subscribers_options.interests > 0)
        count_audience(load);
    connect_all(load);
    report.connected_ns = bench_now_ns() - report.start.at_ns;
    report.subscribers = subscribers;
    if (load->catch_up > 0) {
        report.from = report.start;
        report.expected = load->catch_up * subscribers->ready;
        drain(load, report.expected);
        report.idle = report.to = take_sample(load);
    } else {
        rest(load, SETTLE_NS);
        report.from = report.to = report.idle = take_sample(load);
    }
    if (load->publishers_options.path) {
        load->publishers = publishers_new(&load->publishers_options);
        report.publishers = publishers_tally(load->publishers);
        load->started_ns = bench_now_ns();
        uint64_t from_ns = load->started_ns + (load->publish_max > 0 ? 0 : load->warmup_ns);
        subscribers_measure_from(load->subscribers, from_ns);
        publish_until(load, from_ns);
        report.from = take_sample(load);
        if (load->publish_max > 0)
            publish_all(load);
        else
            publish_until(load, from_ns + load->measured_ns);
        report.to = take_sample(load);
        report.expected = load->expected;
        drain(load, report.expected);
    }
    report_print(&report);
}

/* The options, by the letters that getopt_long() returns for them. */
static const struct option options[] = {
    {"path",     1, 0, 'g'},
    {"subscribers",         1, 0, 'n'},
    {"sse",          0, 0, 'S'},
    {"deflate", 0, 0, 'D'},
    {"ready",       1, 0, 'y'},
    {"handshakes",      1, 0, 'h'},
    {"catch-up",         1, 0, 'u'},
    {"publish",          1, 0, 'p'},
    {"token",         1, 0, 't'},
    {"event",       1, 0, 'e'},
    {"topics",    1, 0, 'T'},
    {"payload",         1, 0, 'b'},
    {"interests",          1, 0, 'i'},
    {"interest",    1, 0, 'I'},
    {"batch",       1, 0, 'a'},
    {"connections", 1, 0, 'c'},
    {"pipeline",         1, 0, 'l'},
    {"rate",          1, 0, 'r'},
    {"window",1, 0, 'w'},
    {"events",       1, 0, 'm'},
    {"seconds",    1, 0, 's'},
    {"warmup",         1, 0, 'W'},
    {"pid",          1, 0, 'P'},
    {0  },
};

static void take_option(struct load *load, int letter, const char *text)
{
    struct subscribers_options *subscribers = &load->subscribers_options;
    struct publishers_options *publishers = &load->publishers_options;

    switch (letter) {
    case 'g': subscribers->path = text; break;
    case 'n': subscribers->count = (unsigned)bench_number("--subscribers", text, 0, 1000000); break;
    case 'S': subscribers->sse = true; break;
    case 'D': subscribers->deflate = true; break;
    case 'y': subscribers->ready = text; break;
    case 'h':
        subscribers->handshakes_max = (unsigned)bench_number("--handshakes", text, 1, 1000000);
        break;
    case 'u': load->catch_up = bench_number("--catch-up", text, 1, UINT32_MAX); break;
    case 'p': publishers->path = text; break;
    case 't': subscribers->token = publishers->token = text; break;
    case 'e': publishers->event = text; break;
    case 'T':
        publishers->topics = (unsigned)bench_number("--topics", text, 1, TOPICS_MAX);
        subscribers->topics = publishers->topics;
        break;
    case 'i':
        subscribers->interests = (unsigned)bench_number("--interests", text, 1, INTERESTS_MAX);
        break;
    case 'I': subscribers->interest = text; break;
    case 'b':
        publishers->payload_bytes = (unsigned)bench_number("--payload", text, 1, 32768);
        break;
    case 'a': publishers->batch = (unsigned)bench_number("--batch", text, 1, 10000); break;
    case 'c':
        publishers->connections = (unsigned)bench_number("--connections", text, 1, 10000);
        break;
    case 'l': publishers->pipeline = (unsigned)bench_number("--pipeline", text, 1, 1024); break;
    case 'r': load->rate = bench_number("--rate", text, 1, 10000000); break;
    case 'w': load->window = bench_number("--window", text, 1, 65535); break;
    case 'm': load->publish_max = bench_number("--events", text, 1, UINT32_MAX); break;
    case 's': load->measured_ns = bench_number("--seconds", text, 1, 86400) * BENCH_NS_PER_S; break;
    case 'W': load->warmup_ns = bench_number("--warmup", text, 0, 86400) * BENCH_NS_PER_S; break;
    case 'P': load->server = (pid_t)bench_number("--pid", text, 1, INT32_MAX); break;
    default: usage();
    }
}

int main(int argc, char **argv)
{
    struct load load = {
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .warmup_ns = BENCH_NS_PER_S,
        .measured_ns = 3 * BENCH_NS_PER_S,
        .subscribers_options = {.path = "/",
                                .interest = "topic={topic}",
                                .topics = 1,
                                .handshakes_max = 128},
        .publishers_options =
            {
                                .event = "{data}",
                                .connections = 1,
                                .pipeline = 16,
                                .batch = 1,
                                .topics = 1,
                                .payload_bytes = 160,
                                },
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(&load, letter, optarg);
    if (optind + 1 != argc)
        usage();
    load.subscribers_options.server = load.publishers_options.server = bench_address(argv[optind]);
    if (load.subscribers_options.interests > load.subscribers_options.topics)
        bench_fail("--interests is no more than --topics");
    load.subscribers_options.epoll = load.publishers_options.epoll = load.epoll;
    uint64_t connections =
        load.subscribers_options.count + (uint64_t)load.publishers_options.connections;
    if (connections + DESCRIPTORS_RESERVED > bench_raise_descriptors())
        bench_fail("more connections than this machine lets a process have");
    signal(SIGPIPE, SIG_IGN);
    load.subscribers = subscribers_new(&load.subscribers_options);
    run(&load);
    publishers_free(load.publishers);
    subscribers_free(load.subscribers);
    free(load.audience);
    close(load.epoll);
    return 0;
}
