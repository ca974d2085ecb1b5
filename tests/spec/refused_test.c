/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known and not applied yet: refused.txt is the whole list, so that
 * neither an addition nor a removal goes unseen.
 */
#include "tests/spec/test.h"

#include <string.h>

static void add_line(const char *ptr, void *data)
{
	text_printf(data, "%s\n", ptr);
}

#define V1 "is of cgroup v1: nothing in cgroup v2 does the same"

/* The value that makes /linux or /process refused, and where. */
static const struct {
	const char *section, *members, *want;
} cases[] = {
	{"process", "\"terminal\":false,\"consoleSize\":{\"height\":1,\"width\":2}", "ok"},
	{"process", "\"terminal\":true", "ok"},
	{"process", "\"apparmorProfile\":\"\",\"selinuxLabel\":\"\"", "ok"},
	{"process", "\"apparmorProfile\":\"a\"", "ok"},
	{"process", "\"selinuxLabel\":\"a\"", "ok"},
	{"process", "\"scheduler\":{\"policy\":\"SCHED_OTHER\"}", "ok"},
	{"process", "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":0}", "ok"},
	{"process", "\"execCPUAffinity\":{\"initial\":\"0\"}", "ok"},
	{"linux", "\"resources\":{}", "ok"},
	{"linux", "\"resources\":{\"memory\":{},\"cpu\":{},\"pids\":{},\"devices\":[]}", "ok"},
	{"linux",
	 "\"resources\":{\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0},\"blockIO\":{\"weight\":0}"
	 ","
	 "\"memory\":{\"limit\":0,\"swap\":-1,\"disableOOMKiller\":false}}",
	 "ok"},
	{"linux", "\"resources\":{\"cpu\":{\"shares\":2}}", "ok"},
	{"linux", "\"resources\":{\"memory\":{\"limit\":1}}", "ok"},
	{"linux", "\"resources\":{\"memory\":{\"swappiness\":0,\"useHierarchy\":true}}", "ok"},
	{"linux", "\"resources\":{\"memory\":{\"swappiness\":1}}",
	 "/linux/resources/memory/swappiness: " V1},
	{"linux", "\"resources\":{\"memory\":{\"disableOOMKiller\":true}}",
	 "/linux/resources/memory/disableOOMKiller: " V1},
	{"linux", "\"resources\":{\"memory\":{\"kernel\":-1,\"kernelTCP\":0}}", "ok"},
	{"linux", "\"resources\":{\"memory\":{\"kernel\":1}}",
	 "/linux/resources/memory/kernel: " V1},
	{"linux", "\"resources\":{\"cpu\":{\"realtimePeriod\":1}}",
	 "/linux/resources/cpu/realtimePeriod: " V1},
	{"linux", "\"resources\":{\"network\":{\"classID\":0,\"priorities\":[]}}", "ok"},
	{"linux", "\"resources\":{\"network\":{\"classID\":1}}",
	 "/linux/resources/network/classID: " V1},
	{"linux",
	 "\"resources\":{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"leafWeight\":20}"
	 "]}}",
	 "/linux/resources/blockIO/weightDevice/0/leafWeight: " V1},
	{"linux", "\"resources\":{\"pids\":{\"limit\":0}}", "ok"},
	{"linux", "\"resources\":{\"unified\":{\"memory.max\":\"1\"}}", "ok"},
	{"linux", "\"resources\":{\"devices\":[{\"allow\":false}]}", "ok"},
	{"linux", "\"cgroupsPath\":\"/a\"", "ok"},
	{"linux", "\"intelRdt\":null,\"netDevices\":{}", "ok"},
	{"linux", "\"intelRdt\":{}", "ok"},
	{"linux", "\"netDevices\":{\"e\":{}}", "ok"},
	{"linux", "\"personality\":{\"domain\":\"LINUX\"}", "ok"},
	{"linux", "\"memoryPolicy\":{\"mode\":\"MPOL_DEFAULT\"}", "ok"},
	{"linux", "\"mountLabel\":\"a\"", "ok"},
	{"linux", "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"listenerPath\":\"/a\"}",
	 "ok"},
};

static void try_document(const char *doc, size_t len, const char *want)
{
	struct arena a = {0};
	struct err err = {0};
	struct spec *s;
	char got[1024] = "ok", name[256];

	if (spec_parse(doc, len, &a, &s, &err) || spec_check_supported(s, &err))
		err_format(&err, got, sizeof(got));
	snprintf(name, sizeof(name), "refused: %.150s", doc + 24);
	check(strcmp(got, want) == 0, name, "\"%s\", not \"%s\"", got, want);
	arena_finish(&a);
}

static void test_exec(void)
{
	static const char doc[] = "{\"args\":[\"a\"],\"cwd\":\"/\",\"selinuxLabel\":\"x\"}";
	struct arena a = {0};
	struct err err = {0};
	struct spec_process *p;
	char got[1024] = "ok";

	if (spec_parse_process(doc, sizeof(doc) - 1, &a, &p, &err) ||
	    spec_check_process_supported(p, &err))
		err_format(&err, got, sizeof(got));
	check(strcmp(got, "ok") == 0, "refused: nothing by exec", "%s", got);
	arena_finish(&a);
}

void test_refused(void)
{
	struct text want = {0}, got = {0};

	text_read(&want, "refused.txt");
	text_add(&got, "", 0);
	spec_list_refused(add_line, &got);
	check(strcmp(got.s, want.s) == 0, "refused: the list is that of refused.txt",
	      "see spec_test --refused");
	text_finish(&want);
	text_finish(&got);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = {0};
		bool process = strcmp(cases[i].section, "process") == 0;

		text_printf(&t,
			    "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"%s\":{%s%s}}",
			    cases[i].section, process ? "\"args\":[\"a\"],\"cwd\":\"/\"," : "",
			    cases[i].members);
		try_document(t.s, t.len, cases[i].want);
		text_finish(&t);
	}
	test_exec();
}
