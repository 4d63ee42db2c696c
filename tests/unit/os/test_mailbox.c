/* SPDX-License-Identifier: Apache-2.0 */
/* Letters between threads: none lost, each thread's in their order, and a wake behind each; meant to run under TSan too. */
#include "os/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define THREADS 4
#define LETTERS 5000

struct letter {
    struct td_list list;
    int from, number;
};

struct post {
    struct td_mailbox mailbox;
    struct td_mutex mutex;
    struct td_cond woken;
    unsigned wakes;
};

struct writer {
    struct post *post;
    int number;
    struct letter letters[LETTERS];
};

static void wake(void *arg)
{
    struct post *post = arg;

    td_mutex_lock(&post->mutex);
    post->wakes++;
    td_cond_signal(&post->woken);
    td_mutex_unlock(&post->mutex);
}

static void write_letters(void *arg)
{
    struct writer *writer = arg;

    for (int i = 0; i < LETTERS; i++) {
        writer->letters[i].from = writer->number;
        writer->letters[i].number = i;
        td_mailbox_put(&writer->post->mailbox, &writer->letters[i].list);
    }
}

static void wait_for_letters(struct post *post)
{
    td_mutex_lock(&post->mutex);
    while (!td_mailbox_any(&post->mailbox))
        assert_true(td_cond_wait(&post->woken, &post->mutex, 10 * TD_NS_PER_S));
    td_mutex_unlock(&post->mutex);
}

static void each_letter_comes_in_its_order(void **state)
{
    struct writer *writers = calloc(THREADS, sizeof(*writers));
    struct td_thread threads[THREADS];
    struct post post = {0};
    struct td_list letters, *node;
    int next[THREADS] = {0}, n = 0;

    assert_non_null(writers);
    td_mutex_init(&post.mutex);
    td_cond_init(&post.woken);
    td_mailbox_init(&post.mailbox, wake, &post);
    td_list_init(&letters);
    for (int i = 0; i < THREADS; i++) {
        writers[i].post = &post;
        writers[i].number = i;
        assert_int_equal(td_thread_start(&threads[i], "writer", write_letters, &writers[i]), 0);
    }
    while (n < THREADS * LETTERS) {
        wait_for_letters(&post);
        td_mailbox_take(&post.mailbox, &letters);
        while ((node = td_list_pop(&letters))) {
            const struct letter *letter = TD_CONTAINER_OF(node, struct letter, list);
            assert_int_equal(letter->number, next[letter->from]++);
            n++;
        }
    }
    for (int i = 0; i < THREADS; i++)
        td_thread_join(&threads[i]);
    assert_int_equal(post.wakes, THREADS * LETTERS);
    assert_false(td_mailbox_any(&post.mailbox));
    td_mailbox_done(&post.mailbox);
    td_cond_done(&post.woken);
    td_mutex_done(&post.mutex);
    free(writers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_letter_comes_in_its_order),
    };

    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
