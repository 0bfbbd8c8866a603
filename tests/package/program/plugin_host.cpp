// Loads a library, lends it a manager, and reads what it made. The library is told no symbol of this program.
#include <dlfcn.h>

#include <cstdio>

#include "plugin.hpp"

int main(int, char** arguments) {
  cotenant::TensorSharingManager manager;
  static_cast<void>(manager.register_tensor("weights", cotenant::full<float>({4}, 3.f)));
  void* const library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::puts(dlerror()), 2;
  const auto function = [&](const char* name) { return reinterpret_cast<PluginFunction>(dlsym(library, name)); };
  function("plugin_doubles")({manager});
  if (manager.get<float>("twice", "program")->view()(3) != 6) return 3;
  bool told = false;
  try {
    function("plugin_asks")({manager});
  } catch (const cotenant::NotFound&) {
    told = true;
  }
  // What lies in the library's memory goes before the library.
  manager.release_model("plugin");
  if (!told || !manager.forget("twice") || dlclose(library) != 0) return 4;
  return manager.get<float>("weights", "program")->view()(3) == 3 ? 0 : 5;
}
