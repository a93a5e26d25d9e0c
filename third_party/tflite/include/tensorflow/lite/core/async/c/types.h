/* Empty on purpose: the build of the crate `tflitec` copies a header of this name; all declarations stand in lite/c/c_api.h. */
