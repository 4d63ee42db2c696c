/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the simulated disk: what a process sees, what a crash leaves, and the changes between the two. */
#include "base/assert.h"
#include "os/sim/disk.h"

struct name {
    char *path;
    struct td_sim_inode *inode;
};

struct names {
    struct name *at;
    size_t n, cap;
};

enum name_change_kind {
    NAME_LINK,
    NAME_UNLINK,
    NAME_RENAME,
};

struct name_change {
    enum name_change_kind kind;
    char *path, *to; /* `to` of a rename */
    struct td_sim_inode *inode;
};

static struct {
    struct names seen, synced;
    struct name_change *changes;
    size_t n_changes, changes_cap;
    struct td_sim_inode **inodes;
    size_t n_inodes, inodes_cap;
    char **dirs;
    size_t n_dirs, dirs_cap;
} fs;

/* Grows an array of elements of `size` bytes so that it has room for one more. */
static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 16;
    array = realloc(array, *cap * size);
    TD_ASSERT(array);
    return array;
}

static char *copy(const char *text)
{
    char *own = strdup(text);

    TD_ASSERT(own);
    return own;
}

/* ---- directories ---- */

size_t td_sim_dir_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static struct td_slice dir_slice(const char *dir)
{
    struct td_slice slice = td_slice_str(dir);

    while (slice.len > 0 && slice.ptr[slice.len - 1] == '/')
        slice.len--;
    if (td_slice_eq(slice, TD_S(".")))
        slice.len = 0;
    return slice;
}

bool td_sim_dir_holds(const char *dir, const char *path)
{
    return td_slice_eq(dir_slice(dir), td_slice(path, td_sim_dir_len(path)));
}

static bool dir_known(struct td_slice dir)
{
    if (dir.len == 0)
        return true;
    for (size_t i = 0; i < fs.n_dirs; i++)
        if (td_slice_eq(dir, td_slice_str(fs.dirs[i])))
            return true;
    return false;
}

bool td_sim_dir_exists(const char *dir)
{
    return dir_known(dir_slice(dir));
}

void td_sim_dir_add(const char *dir)
{
    struct td_slice path = dir_slice(dir);

    for (size_t len = 1; len <= path.len; len++) {
        if ((len < path.len && path.ptr[len] != '/') || dir_known(td_slice_to(path, len)))
            continue;
        fs.dirs = grown(fs.dirs, fs.n_dirs, &fs.dirs_cap, sizeof *fs.dirs);
        fs.dirs[fs.n_dirs] = strndup(path.ptr, len);
        TD_ASSERT(fs.dirs[fs.n_dirs]);
        fs.n_dirs++;
    }
}

/* ---- tables of names ---- */

static struct name *names_find(struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    return NULL;
}

static void names_set(struct names *names, const char *path, struct td_sim_inode *inode)
{
    struct name *name = names_find(names, path);

    if (!name) {
        names->at = grown(names->at, names->n, &names->cap, sizeof *names->at);
        name = &names->at[names->n++];
        name->path = copy(path);
    }
    name->inode = inode;
}

/* Removes a name when it names that file. */
static void names_remove(struct names *names, const char *path, const struct td_sim_inode *inode)
{
    struct name *name = names_find(names, path);

    if (!name || name->inode != inode)
        return;
    free(name->path);
    names->n--;
    memmove(name, name + 1, (size_t)(names->at + names->n - name) * sizeof *name);
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->at[i].path);
    names->n = 0;
}

static void names_apply(struct names *names, const struct name_change *change)
{
    switch (change->kind) {
    case NAME_LINK: names_set(names, change->path, change->inode); break;
    case NAME_UNLINK: names_remove(names, change->path, change->inode); break;
    case NAME_RENAME:
        names_remove(names, change->path, change->inode);
        names_set(names, change->to, change->inode);
        break;
    }
}

/* ---- changes ---- */

static void change(enum name_change_kind kind, const char *path, const char *to,
                   struct td_sim_inode *inode)
{
    fs.changes = grown(fs.changes, fs.n_changes, &fs.changes_cap, sizeof *fs.changes);
    fs.changes[fs.n_changes] = (struct name_change){kind, copy(path), to ? copy(to) : NULL, inode};
    names_apply(&fs.seen, &fs.changes[fs.n_changes]);
    fs.n_changes++;
}

static void change_done(struct name_change *done)
{
    free(done->path);
    free(done->to);
}

struct td_sim_inode *td_sim_inode_find(const char *path)
{
    struct name *name = names_find(&fs.seen, path);

    return name ? name->inode : NULL;
}

struct td_sim_inode *td_sim_inode_new(const char *path)
{
    struct td_sim_inode *inode = td_sim_inode_alloc();

    fs.inodes = grown(fs.inodes, fs.n_inodes, &fs.inodes_cap, sizeof(struct td_sim_inode *));
    fs.inodes[fs.n_inodes++] = inode;
    change(NAME_LINK, path, NULL, inode);
    return inode;
}

void td_sim_name_rename(const char *from, const char *to)
{
    change(NAME_RENAME, from, to, td_sim_inode_find(from));
}

void td_sim_name_unlink(const char *path)
{
    change(NAME_UNLINK, path, NULL, td_sim_inode_find(path));
}

void td_sim_names_sync(const char *dir)
{
    size_t kept = 0;

    for (size_t i = 0; i < fs.n_changes; i++) {
        struct name_change *at = &fs.changes[i];

        if (td_sim_dir_holds(dir, at->path) || (at->to && td_sim_dir_holds(dir, at->to))) {
            names_apply(&fs.synced, at);
            change_done(at);
        } else {
            fs.changes[kept++] = *at;
        }
    }
    fs.n_changes = kept;
    td_sim_inodes_sweep();
}

void td_sim_names_crash(void)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_DISK);
    size_t upto = td_rng_below(rng, fs.n_changes + 1);
    /* Most file systems keep the order of such changes; POSIX does not ask for it. */
    bool ordered = !td_rng_one_in(rng, 4);

    for (size_t i = 0; i < fs.n_changes; i++) {
        if (ordered ? i < upto : td_rng_one_in(rng, 2))
            names_apply(&fs.synced, &fs.changes[i]);
        change_done(&fs.changes[i]);
    }
    fs.n_changes = 0;
    names_clear(&fs.seen);
    for (size_t i = 0; i < fs.synced.n; i++)
        names_set(&fs.seen, fs.synced.at[i].path, fs.synced.at[i].inode);
    td_sim_inodes_sweep();
    for (size_t i = 0; i < fs.n_inodes; i++) {
        td_sim_inode_tear(fs.inodes[i]);
        td_sim_inode_reload(fs.inodes[i]);
    }
}

int td_sim_names_each(int (*each)(const char *path, struct td_sim_inode *inode, void *arg),
                      void *arg)
{
    for (size_t i = 0; i < fs.seen.n; i++) {
        int answer = each(fs.seen.at[i].path, fs.seen.at[i].inode, arg);

        if (answer != 0)
            return answer;
    }
    return 0;
}

static bool names_hold(const struct names *names, const struct td_sim_inode *inode)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->at[i].inode == inode)
            return true;
    return false;
}

static bool inode_held(const struct td_sim_inode *inode)
{
    if (inode->opens > 0 || names_hold(&fs.seen, inode) || names_hold(&fs.synced, inode))
        return true;
    for (size_t i = 0; i < fs.n_changes; i++)
        if (fs.changes[i].inode == inode)
            return true;
    return false;
}

void td_sim_inodes_sweep(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < fs.n_inodes; i++) {
        if (inode_held(fs.inodes[i]))
            fs.inodes[kept++] = fs.inodes[i];
        else
            td_sim_inode_free(fs.inodes[i]);
    }
    fs.n_inodes = kept;
}

uint64_t td_sim_disk_used_bytes(void)
{
    uint64_t used = 0;

    for (size_t i = 0; i < fs.n_inodes; i++)
        if (fs.inodes[i]->opens > 0 || names_hold(&fs.seen, fs.inodes[i]))
            used += fs.inodes[i]->blocks;
    return used;
}

void td_sim_names_reset(void)
{
    names_clear(&fs.seen);
    names_clear(&fs.synced);
    for (size_t i = 0; i < fs.n_changes; i++)
        change_done(&fs.changes[i]);
    for (size_t i = 0; i < fs.n_inodes; i++)
        td_sim_inode_free(fs.inodes[i]);
    for (size_t i = 0; i < fs.n_dirs; i++)
        free(fs.dirs[i]);
    free(fs.seen.at);
    free(fs.synced.at);
    free(fs.changes);
    free(fs.inodes);
    free(fs.dirs);
    memset(&fs, 0, sizeof fs);
}
