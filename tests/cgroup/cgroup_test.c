/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "tests/cgroup/test.h"

static unsigned int passed_checks, failed_checks;

void check(bool passed, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (passed) {
		passed_checks++;
		printf("ok - %s\n", name);
		return;
	}
	failed_checks++;
	printf("not ok - %s: ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

int main(void)
{
	test_limits();
	test_devices();
	test_paths();
	test_scope();
	printf("%u passed, %u failed, 0 skipped\n", passed_checks, failed_checks);
	return failed_checks ? 1 : 0;
}
