/* SPDX-License-Identifier: Apache-2.0 */
/* tidings VERB …: finds the verb. */
#include "cli/cli.h"
#include "server/config_schema.h"
#include <stdio.h>

static const struct verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"dev",     "start a development server here, without any configuration", td_cli_dev    },
    {"serve",   "start a server",                                             td_cli_serve  },
    {"check",   "check a configuration",                                      td_cli_check  },
    {"token",   "sign a token",                                               td_cli_token  },
    {"publish", "publish events",                                             td_cli_publish},
    {"tail",    "follow topics in the terminal",                              td_cli_tail   },
    {"run",     "run a command and publish its output as it comes",           td_cli_run    },
    {"jobs",    "list jobs, show one, cancel one",                            td_cli_jobs   },
    {"why",     "explain why a subject does or does not get a topic",         td_cli_why    },
    {"top",     "watch connections, topics and rates",                        td_cli_top    },
    {"log",     "look into a server's log, check it, copy it",                td_cli_log    },
};

static void print_help(FILE *out)
{
    fprintf(out, "Usage: tidings VERB …\n\n"
                 "Tidings takes events, keeps them in a durable log, and delivers them live and "
                 "resumable.\n\n");
    for (size_t i = 0; i < TD_ARRAY_LEN(verbs); i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(out, "\n'tidings VERB --help' tells more; 'tidings --version' says which this is.\n");
}

static const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *nearest = NULL;
    size_t best = 3; /* more edits than two are another word */

    for (size_t i = 0; i < TD_ARRAY_LEN(verbs); i++) {
        size_t distance = td_config_distance(td_slice_str(name), td_slice_str(verbs[i].name), best);
        if (distance < best) {
            best = distance;
            nearest = verbs[i].name;
        }
    }
    fprintf(stderr, "tidings: '%s' is not a verb%s%s%s\n", name, nearest ? "; did you mean " : "",
            nearest ? nearest : "", nearest ? "?" : "");
    fprintf(stderr, "Try 'tidings --help'.\n");
    return TD_CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TD_CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tidings %s\n", TD_VERSION);
        return TD_CLI_DONE;
    }
    bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        print_help(stdout);
        return TD_CLI_DONE;
    }
    const struct verb *verb = verb_named(help ? argv[2] : argv[1]);
    if (!verb)
        return unknown(help ? argv[2] : argv[1]);
    if (help) {
        char option[] = "--help";
        return verb->run(2, (char *[]){argv[2], option, NULL});
    }
    return verb->run(argc - 1, argv + 1);
}
