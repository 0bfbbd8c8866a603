// What sanitizers report of drivers and layers is theirs: they leak a little when they are unloaded, and their threads are not instrumented.
// They stay loaded here, so that reports name them. Drivers that compile for the CPU register their code with libgcc's unwinder, whose lock
// is not instrumented either and is taken when an error is thrown.
#include <dlfcn.h>

#include <initializer_list>

namespace {
const bool keeps_libraries = [] {
  for (const char* library : {"libvulkan_lvp.so", "libVkLayer_khronos_validation.so"}) dlopen(library, RTLD_NOW | RTLD_NODELETE);
  return true;
}();
}  // namespace

// Weak symbols of the sanitizers' runtimes; nothing calls them elsewhere.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libvulkan_lvp\nleak:libVkLayer\nleak:libLLVM\nleak:libvulkan.so\n"; }
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libvulkan_lvp.so\ncalled_from_lib:libVkLayer_khronos_validation.so\ncalled_from_lib:libLLVM\n"
         "race:libvulkan_lvp\nrace:libVkLayer\n"
         "mutex:libVkLayer\nmutex:__register_frame_info\nmutex:_Unwind_Find_FDE\n"
         "thread:libvulkan_lvp\n";
}
