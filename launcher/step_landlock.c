/* Steps of the Landlock layer: ruleset, rules, enforcement (landlock(7)).  ✗ which rights exist: the plan says. */
#include "launch.h"

#include <linux/fcntl.h>
#include <linux/openat2.h>

/* As of ABI 6; an older kernel takes a longer struct as long as the tail is zero. */
struct ruleset_attr {
	u64 handled_access_fs, handled_access_net, scoped;
};

struct path_beneath_attr {
	u64 allowed_access;
	i32 parent_fd;
} __attribute__((packed));

struct net_port_attr {
	u64 allowed_access, port;
};

enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

/* LANDLOCK_ACCESS_FS_*: EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV. */
#define RIGHTS_ON_FILES (1U << 0 | 1U << 1 | 1U << 2 | 1U << 14 | 1U << 15)

int run_landlock_ruleset(const struct step *step, struct env *env)
{
	const struct ruleset_attr attr = { step->field[0].number, step->field[1].number, step->field[2].number };

	env->ruleset = (int)K(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);
	return env->ruleset < 0 ? env->ruleset : 0;
}

/* exact: others may write on the way to it, and a link that they left would give the rights to another place. */
int run_landlock_path(const struct step *step, struct env *env)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = step->field[3].number ? RESOLVE_NO_SYMLINKS : 0 };
	struct path_beneath_attr rule = { .allowed_access = step->field[1].number };
	int result;

	rule.parent_fd = (int)K(__NR_openat2, AT_FDCWD, step->field[0].bytes, &how, sizeof(how));
	if (rule.parent_fd < 0)
		return rule.parent_fd == -ENOENT && step->field[2].number ? 0 : rule.parent_fd;
	result = (int)K(__NR_landlock_add_rule, env->ruleset, RULE_PATH_BENEATH, &rule, 0);
	if (result == -EINVAL) { /* only a directory takes the others */
		rule.allowed_access &= RIGHTS_ON_FILES;
		result = (int)K(__NR_landlock_add_rule, env->ruleset, RULE_PATH_BENEATH, &rule, 0);
	}
	K(__NR_close, rule.parent_fd);
	return result;
}

int run_landlock_port(const struct step *step, struct env *env)
{
	const struct net_port_attr rule = { .allowed_access = step->field[1].number, .port = step->field[0].number };

	return (int)K(__NR_landlock_add_rule, env->ruleset, RULE_NET_PORT, &rule, 0);
}

int run_landlock_restrict(const struct step *step, struct env *env)
{
	int result = (int)K(__NR_landlock_restrict_self, env->ruleset, step->field[0].number);

	K(__NR_close, env->ruleset);
	env->ruleset = -1;
	return result;
}
