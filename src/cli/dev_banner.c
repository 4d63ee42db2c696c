/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dev_banner.h"
#include <stdio.h>

static void print_events(const char *url, const struct td_dev_banner *banner)
{
    printf(
        "\nTidings listens on %s/   (development: the key lies in %.*s/dev.key)\n\n"
        "In a browser: the workbench at %s/, the console at %s/console\n\n"
        "A token, good for a day:\n\n  export TIDINGS_TOKEN=%.*s\n\n"
        "See events live, in one terminal:\n\n"
        "  curl -N -H \"Authorization: Bearer $TIDINGS_TOKEN\" -H 'Accept: text/event-stream' \\\n"
        "    '%s/api/v1/events?topic=**'\n\n"
        "publish one, in another:\n\n"
        "  curl -H \"Authorization: Bearer $TIDINGS_TOKEN\" %s/api/v1/events \\\n"
        "    -d '{\"topic\":\"hello\",\"type\":\"greeting\",\"data\":{\"text\":\"world\"}}'\n\n"
        "stop the first curl, publish more, and resume with the last `id:` that it showed:\n\n"
        "  curl -N -H \"Authorization: Bearer $TIDINGS_TOKEN\" -H 'Accept: text/event-stream' \\\n"
        "    -H 'Last-Event-ID: POSITION' '%s/api/v1/events?topic=**'\n\n",
        url, (int)banner->data.len, banner->data.ptr, url, url, (int)banner->tokens[0].len,
        banner->tokens[0].ptr, url, url, url);
}

static void print_people(const struct td_dev_banner *banner)
{
    static const char *const who[] = {NULL, "ANN", "BOB", "ROOT"};

    printf("Others to sign in as: ann works on projects/** and entities/**, bob only reads "
           "projects/demo/** and\n"
           "entities/**, root is an admin:\n\n");
    for (size_t i = 1; i < TD_DEV_PEOPLE; i++)
        printf("  export %s=%.*s\n", who[i], (int)banner->tokens[i].len, banner->tokens[i].ptr);
    printf("\n");
}

static void print_systems(const char *url, const struct td_dev_banner *banner)
{
    if (!banner->examples)
        return;
    printf(
        "Jobs to try, from %s (its README.md tells more)%s:\n\n"
        "  alias post='curl -H \"Authorization: Bearer $TIDINGS_TOKEN\" -X POST'\n\n"
        "  proposal   post %s/api/v1/jobs -d "
        "'{\"kind\":\"validate\",\"params\":{\"project_id\":\"demo\",\"proposal_id\":\"7\"}}'\n"
        "  iteration  post %s/api/v1/jobs -d "
        "'{\"kind\":\"iterate\",\"params\":{\"project_id\":\"demo\",\"proposal_id\":\"7\","
        "\"instruction\":\"Replace `gross` by `with_tax`\"}}'\n"
        "  journal    post %s/api/v1/jobs -d '{\"kind\":\"journal\",\"params\":{\"pages\":100}}'\n"
        "  enhance    post %s/api/v1/jobs -d "
        "'{\"kind\":\"enhance\",\"session\":\"s1\",\"params\":{\"text\":\"write a till\"}}'\n"
        "  generate   post %s/api/projects/demo/generate -d '{\"description\":\"A shop with "
        "products and orders\"}'\n"
        "  records    curl -H \"Authorization: Bearer $TIDINGS_TOKEN\" -X PUT "
        "%s/api/v1/entities/applications/app1 -d '{\"name\":\"shop\"}'\n\n",
        banner->examples,
        banner->imitates ? ". The language model is an imitation: set TIDINGS_LLM_URL and "
                           "TIDINGS_LLM_MODEL for a real one"
                         : "",
        url, url, url, url, url, url);
}

void td_dev_banner_print(const char *url, void *arg)
{
    const struct td_dev_banner *banner = arg;

    print_events(url, banner);
    print_people(banner);
    print_systems(url, banner);
    fflush(stdout);
}
