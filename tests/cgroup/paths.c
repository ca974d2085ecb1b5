/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of cgroups, and the caller's own below a mount. */
#include <stdio.h>
#include <string.h>

#include "cgroup/file.h"
#include "cgroup/tree.h"
#include "tests/cgroup/test.h"

static void clean(const char *path, const char *want)
{
	struct arena a = {0};
	struct err err;
	char *got, name[128];

	if (tree_clean(path, &a, &got, &err) < 0)
		got = NULL;
	snprintf(name, sizeof(name), "paths: %.64s", *path ? path : "(empty)");
	name[strcspn(name, "\n")] = '\0';
	check(got && want ? !strcmp(got, want) : got == want, name, "%s, not %s",
	      got ? got : "refused", want ? want : "refused");
	arena_finish(&a);
}

static void test_words(void)
{
	static const char list[] = "cpuset cpu io memory";

	check(cgfile_has_word(list, "cpu") && cgfile_has_word(list, "memory") &&
		      cgfile_has_word(list, "cpuset"),
	      "paths: a controller in a list", "not found");
	check(!cgfile_has_word(list, "mem") && !cgfile_has_word(list, "set") &&
		      !cgfile_has_word("", "cpu"),
	      "paths: not the part of a name", "found");
}

static void test_find(void)
{
	static const char text[] = "populated 1\nfrozen 0\nlow 18446744073709551615";
	uint64_t v = 7;

	check(cgfile_find(text, "frozen", &v) && v == 0, "paths: a key in the middle", "%llu",
	      (unsigned long long)v);
	check(cgfile_find(text, "low", &v) && v == UINT64_MAX, "paths: the greatest value", "%llu",
	      (unsigned long long)v);
	check(!cgfile_find(text, "lo", &v) && !cgfile_find("", "low", &v), "paths: no such key",
	      "found");
}

void test_paths(void)
{
	char deep[400] = "", name[260];

	clean("/a/b", "/a/b");
	clean("a", "/a");
	clean("//a///b/", "/a/b");
	clean("", "");
	clean("/", "");
	clean("/a/../b", NULL);
	clean("..", NULL);
	clean("/a/..", NULL);
	clean("./a", NULL);
	clean("/a/./b", NULL);
	clean("/..a/b..", "/..a/b..");
	clean("/a/...", "/a/...");
	clean("/a\nb", NULL);
	memset(name, 'x', 256);
	name[256] = '\0';
	clean(name, NULL);
	for (int i = 0; i < 65; i++)
		strcat(deep, "/d");
	clean(deep, NULL);
	test_words();
	test_find();
}
