/* The entry of the init image that the launcher carries inside itself. */
#include "init.h"
#include "sys.h"

int program(int argc, char **argv, char **environment, const u64 *auxiliary);
int program(int argc, char **argv, char **environment, const u64 *auxiliary)
{
	(void)argc, (void)argv, (void)environment, (void)auxiliary; /* init is told everything by two descriptors */
	init_main(INIT_SOCKET, INIT_GATE);
}
