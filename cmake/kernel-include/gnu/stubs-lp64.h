// Empty on purpose: the cross libc ships no lp64 stubs list, and the kernel links no libc.
