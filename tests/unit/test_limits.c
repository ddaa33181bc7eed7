/** @file test_limits.c  What cgroups leave a process: every group above binds. */
#include "ntklens/machine.h"
#include "sample_files.h"

#include "ntklens/io.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char root[64];

static int enter(void **state)
{
    (void)state;
    return sample_folder_create(root) ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    sample_folder_remove(root);
    return 0;
}

/* A file of the made-up machine, with its folder. */
static void put(const char *folder, const char *name, const char *content)
{
    nl_text path = {0};

    nl_text_append(&path, "%s%s", root, folder);
    assert_int_equal(nl_folder_create(path.data), NL_OK);
    nl_text_append(&path, "/%s", name);
    assert_int_equal(nl_file_write_atomic(path.data, content, strlen(content), NL_PLAIN), NL_OK);
    nl_text_free(&path);
}

static void without_groups_nothing_limits(void **state)
{
    (void)state;
    assert_true(isinf(nl_cgroup_memory(root)) && isinf(nl_cgroup_cores(root)));
    put("/proc/self", "cgroup", "0::/\n");
    assert_true(isinf(nl_cgroup_memory(root)) && isinf(nl_cgroup_cores(root)));
}

static void the_least_limit_from_the_job_to_the_leaf_counts(void **state)
{
    (void)state;
    put("/proc/self", "cgroup", "0::/slurm/job_7/step_0/task_0\n");
    put("/sys/fs/cgroup/slurm/job_7/step_0/task_0", "memory.max", "max\n");
    put("/sys/fs/cgroup/slurm/job_7/step_0/task_0", "cpu.max", "max 100000\n");
    assert_true(isinf(nl_cgroup_memory(root)) && isinf(nl_cgroup_cores(root)));
    put("/sys/fs/cgroup/slurm/job_7", "memory.max", "4096000\n");
    put("/sys/fs/cgroup/slurm/job_7", "cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/slurm", "memory.max", "9999999\n");
    assert_true(nl_cgroup_memory(root) == 4096000.0);
    assert_true(nl_cgroup_cores(root) == 2.5);
    put("/sys/fs/cgroup/slurm/job_7/step_0/task_0", "memory.max", "1000\n");
    assert_true(nl_cgroup_memory(root) == 1000.0);
}

static void version_1_in_a_container_is_found_at_the_mount_point(void **state)
{
    (void)state;
    put("/proc/self", "cgroup", "9:cpu,cpuacct:/docker/ab12\n4:memory:/docker/ab12\n");
    assert_true(isinf(nl_cgroup_memory(root)) && isinf(nl_cgroup_cores(root)));
    put("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "2048000\n");
    put("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
    assert_true(nl_cgroup_memory(root) == 2048000.0);
    assert_true(isinf(nl_cgroup_cores(root)));
    put("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "150000\n");
    assert_true(nl_cgroup_cores(root) == 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_groups_nothing_limits, enter, leave),
        cmocka_unit_test_setup_teardown(the_least_limit_from_the_job_to_the_leaf_counts, enter,
                                        leave),
        cmocka_unit_test_setup_teardown(version_1_in_a_container_is_found_at_the_mount_point, enter,
                                        leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
