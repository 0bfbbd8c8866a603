// Version, build options and the internal assertion: the only file with cotenant macros that a user sets.
#ifndef COTENANT_CORE_CONFIG_HPP
#define COTENANT_CORE_CONFIG_HPP

// major * 10000 + minor * 100 + patch.
#define COTENANT_VERSION 100
#define COTENANT_VERSION_STRING "0.1.0"

// COTENANT_STATIC_DISPATCH: the compiler flags alone choose the CPU target; nothing is decided at run time
// and libhwy is not needed at link time.
#if defined(COTENANT_STATIC_DISPATCH) && !defined(HWY_COMPILE_ONLY_STATIC)
#define HWY_COMPILE_ONLY_STATIC
#endif

// COTENANT_SERIAL: no thread pool; kernels run on the calling thread and oneTBB is not needed.

// COTENANT_ZSTD: stores may compress tensors that are rarely used; the program is linked with libzstd. The same in every
// translation unit of a program.

// COTENANT_VULKAN_SEPARATE: the code of the Vulkan backend is compiled once for a program instead of in every file that uses a
// GPU: in cotenant/vulkan.cpp, or wherever COTENANT_VULKAN_IMPLEMENTATION is defined, too, before cotenant/vulkan.hpp. The same in
// every translation unit.
#ifdef COTENANT_VULKAN_SEPARATE
#define COTENANT_VULKAN_INLINE
#else
#define COTENANT_VULKAN_INLINE inline
#endif

// Whether errors are thrown. Without exceptions the error handler is called and the program ends.
#ifndef COTENANT_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define COTENANT_EXCEPTIONS 1
#else
#define COTENANT_EXCEPTIONS 0
#endif
#endif

// COTENANT_ASSERT(condition): a precondition between cotenant's own functions; costs nothing under NDEBUG.
// Misuse by a caller or by data is an Error (core/error.hpp), never an assertion.
#ifndef COTENANT_ASSERT
#ifdef NDEBUG
#define COTENANT_ASSERT(condition) ((void)0)
#else
#include <cassert>
#define COTENANT_ASSERT(condition) assert(condition)
#endif
#endif

// Whether AddressSanitizer watches: then memory is neither recycled nor taken past malloc, which would hide errors.
#if defined(__SANITIZE_ADDRESS__)
#define COTENANT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COTENANT_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef COTENANT_ADDRESS_SANITIZER
#define COTENANT_ADDRESS_SANITIZER 0
#endif

#endif
