/* SPDX-License-Identifier: Apache-2.0 */
/* spec, features, steps: what bryo has to say about itself and a bundle. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ns/cred.h"
#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/steps.h"
#include "spec/fields.h"

/* ---- spec ---- */

int cmd_spec(struct arguments *a, struct err *err)
{
	const char *bundle = a->box.bundle ? a->box.bundle : ".";
	auto_close int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct arena arena = {0};
	struct spec *s;
	char *text;
	size_t len;
	int bad;

	if (dir < 0)
		return err_set(err, errno, "open the bundle %s", bundle);
	bad = spec_default(a->spec_rootless, &arena, &s, err);
	if (!bad)
		bad = spec_write(s, &arena, &text, &len, err);
	if (!bad) {
		fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno == EEXIST)
			bad = err_set(err, 0, "config.json exists in %s: not overwritten", bundle);
		else if (fd < 0 || fd_write_all(fd, text, len) < 0)
			bad = err_set(err, errno, "write config.json in %s", bundle);
	}
	arena_finish(&arena);
	return bad;
}

/* ---- features (features.md, features-linux.md) ---- */

static void strings(struct json *j, const char *key, const char *const *list)
{
	json_key(j, key);
	json_open_array(j);
	for (; *list; list++)
		json_str(j, *list);
	json_close_array(j);
}

static void enabled(struct json *j, const char *key, bool on)
{
	json_key(j, key);
	json_open_object(j);
	json_key(j, "enabled");
	json_bool(j, on);
	json_close_object(j);
}

static void mount_options(struct json *j)
{
	json_key(j, "mountOptions");
	json_open_array(j);
	for (size_t i = 0; mount_option_name(i); i++)
		json_str(j, mount_option_name(i));
	json_close_array(j);
}

static void capabilities(struct json *j)
{
	char name[40];

	json_key(j, "capabilities");
	json_open_array(j);
	for (int c = 0; c <= cred_last_cap(); c++)
		json_str(j, cred_cap_name(c, name));
	json_close_array(j);
}

static void seccomp_features(struct json *j)
{
	static const char *const actions[] = {"SCMP_ACT_KILL",        "SCMP_ACT_KILL_PROCESS",
					      "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
					      "SCMP_ACT_ERRNO",       "SCMP_ACT_TRACE",
					      "SCMP_ACT_ALLOW",       "SCMP_ACT_LOG",
					      "SCMP_ACT_NOTIFY",      NULL};
	static const char *const operators[] = {"SCMP_CMP_NE",        "SCMP_CMP_LT", "SCMP_CMP_LE",
						"SCMP_CMP_EQ",        "SCMP_CMP_GE", "SCMP_CMP_GT",
						"SCMP_CMP_MASKED_EQ", NULL};
	static const char *const flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
					    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
					    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};

	json_key(j, "seccomp");
	json_open_object(j);
	json_key(j, "enabled");
	json_bool(j, true);
	strings(j, "actions", actions);
	strings(j, "operators", operators);
	json_key(j, "archs");
	json_open_array(j);
	for (const struct name *n = spec_architectures; n->name; n++)
		if (filter_has_architecture(n->name))
			json_str(j, n->name);
	json_close_array(j);
	strings(j, "knownFlags", flags);
	strings(j, "supportedFlags", flags);
	json_close_object(j);
}

static void cgroup_features(struct json *j)
{
	static const struct {
		const char *name;
		bool on;
	} parts[] = {{"v1", false},
		     {"v2", true},
		     {"systemd", true},
		     {"systemdUser", true},
		     {"rdma", true}};

	json_key(j, "cgroup");
	json_open_object(j);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_key(j, parts[i].name);
		json_bool(j, parts[i].on);
	}
	json_close_object(j);
}

static void names(struct json *j, const char *key, const struct name *list)
{
	json_key(j, key);
	json_open_array(j);
	for (; list->name; list++)
		json_str(j, list->name);
	json_close_array(j);
}

static void linux_features(struct json *j)
{
	static const char *const rdt[] = {"enabled", "schemata", "monitoring"};

	json_key(j, "linux");
	json_open_object(j);
	json_key(j, "namespaces");
	json_open_array(j);
	for (int t = 0; t < NS_COUNT; t++)
		json_str(j, nsset_type_names[t]);
	json_close_array(j);
	capabilities(j);
	cgroup_features(j);
	seccomp_features(j);
	enabled(j, "apparmor", true);
	enabled(j, "selinux", true);
	json_key(j, "intelRdt");
	json_open_object(j);
	for (size_t i = 0; i < sizeof(rdt) / sizeof(rdt[0]); i++) {
		json_key(j, rdt[i]);
		json_bool(j, true);
	}
	json_close_object(j);
	json_key(j, "memoryPolicy");
	json_open_object(j);
	names(j, "modes", spec_policy_modes);
	names(j, "flags", spec_policy_flags);
	json_close_object(j);
	json_key(j, "mountExtensions");
	json_open_object(j);
	enabled(j, "idmap", true);
	json_close_object(j);
	enabled(j, "netDevices", true);
	json_close_object(j);
}

int cmd_features(struct arguments *a, struct err *err)
{
	static const char *const hooks[] = {"prestart",
					    "createRuntime",
					    "createContainer",
					    "startContainer",
					    "poststart",
					    "poststop",
					    NULL};
	static const char *const annotations[] = {"org.bryo.overlay", "org.bryo.overlay.lower.",
						  NULL};
	struct json *j = json_new(true);
	int bad;

	(void)a;
	if (!j)
		return err_set(err, ENOMEM, "the features");
	json_open_object(j);
	json_key(j, "ociVersionMin");
	json_str(j, "1.0.0");
	json_key(j, "ociVersionMax");
	json_str(j, SPEC_VERSION);
	strings(j, "hooks", hooks);
	mount_options(j);
	linux_features(j);
	/* They change where the container writes, and what it reads. */
	strings(j, "potentiallyUnsafeConfigAnnotations", annotations);
	json_close_object(j);
	bad = print_json(j, err);
	json_free(j);
	return bad;
}

/* ---- steps ---- */

static void print_step(const struct step *s)
{
	printf("%s\t%s\t%s\n", s->name, s->side == HOST ? "HOST" : "BOX", s->ptr ? s->ptr : "-");
}

/* All rows, those of `exec`, or those that a bundle wants; nothing is run. */
int cmd_steps(struct arguments *a, struct err *err)
{
	struct arena arena = {0};
	struct box b = {.op = OP_RUN, .opt = a->box, .may_add_userns = true, .arena = &arena};
	bool all = !a->box.bundle && !a->n_operands;
	int bad = 0;

	if (a->steps_exec && !all)
		return err_set(err, 0, "steps --exec: the rows of exec do not depend on a bundle");

	if (a->n_operands)
		b.opt.bundle = a->operands[0];
	if (!all)
		bad = box_prepare(&b, NULL, err);
	for (size_t i = 0; !bad && i < n_steps; i++)
		if (a->steps_exec ? steps[i].flags & STEP_ENTERS
				  : all || step_is_wanted(&b, &steps[i]))
			print_step(&steps[i]);
	arena_finish(&arena);
	if (!bad && (fflush(stdout) != 0 || ferror(stdout)))
		return err_set(err, errno, "write to standard output");
	return bad;
}
