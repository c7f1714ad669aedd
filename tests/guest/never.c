/* SPDX-License-Identifier: Apache-2.0 */
/* never.c - a program that never gets ready, for tests/e2e_cli.sh. */
int main(void)
{
	for (volatile int i = 0;; i++)
		;
}
