/* SPDX-License-Identifier: Apache-2.0 */
#include "server/reload.h"
#include "base/err.h"
#include "base/log.h"
#include "desk/jobs.h"
#include "os/clock.h"

static void log_lines(enum td_log_level level, struct td_slice lines, const char *behind)
{
    struct td_slice line;

    while (td_slice_split(&lines, '\n', &line))
        if (line.len > 0)
            td_log(level, "reload", "%.*s%s", (int)line.len, line.ptr, behind);
}

static struct td_config *load(const struct td_config_inputs *inputs)
{
    struct td_config *config = NULL;
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);

    if (td_config_load(inputs, &config, &errors) < 0) {
        log_lines(TD_LOG_ERROR, td_buf_slice(&errors), "");
        td_log(TD_LOG_ERROR, "reload", "the configuration is not valid: nothing was changed");
    }
    td_buf_done(&errors);
    return config;
}

static void warn_of_fixed(const struct td_config *started, const struct td_config *config)
{
    struct td_buf paths = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);

    if (td_config_diff_fixed(started, config, &paths) > 0)
        log_lines(TD_LOG_WARN, td_buf_slice(&paths), " is changed only by a restart");
    td_buf_done(&paths);
}

void td_log_certificate(const struct td_config *config)
{
    char ends[TD_TIME_LEN + 1];
    struct td_log_line line;

    if (!config->tls.context)
        return;
    bool ended = td_tls_context_ends(config->tls.context) <= td_clock_unix_ms();
    if (!td_log_begin(&line, ended ? TD_LOG_WARN : TD_LOG_INFO, "certificate"))
        return;
    td_time_format(td_tls_context_ends(config->tls.context), ends);
    td_log_str(&line, "message",
               ended ? TD_S("the certificate has ended: clients will refuse it")
                     : TD_S("the certificate is in use"));
    td_log_str(&line, "file", config->tls.certificate);
    td_log_str(&line, "ends", td_slice_str(ends));
    td_log_end(&line);
}

bool td_reload(struct td_setups *setups, const struct td_config *started,
               const struct td_config_inputs *inputs)
{
    struct td_config *config = load(inputs);

    if (!config)
        return false;
    config->verify.policy.version = setups->current->auth.policy.version + 1;
    int r = td_setups_load(setups, config);
    if (r < 0) {
        td_log(TD_LOG_ERROR, "reload", "%s: nothing was changed", td_err_name(r));
        td_config_free(config);
        return false;
    }
    struct td_jobs_limits limits;
    struct td_kinds_lent kinds = td_config_lend_kinds(config, &limits);
    td_desk_use_kinds(setups->desk, &kinds, &limits);
    td_log_set_level((enum td_log_level)config->log.level);
    warn_of_fixed(started, config);
    td_log_certificate(config);
    td_log(TD_LOG_INFO, "reload", "the configuration was loaded and is in use");
    td_config_free(config); /* the setup has its own reference */
    return true;
}
