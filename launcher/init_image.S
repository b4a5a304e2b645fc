/* The init program as bytes inside the launcher. */
	.section .rodata
	.globl init_image, init_image_end
	.balign 16
init_image:
	.incbin "nucleus-init"
init_image_end:
	.section .note.GNU-stack, "", %progbits
