// What a program and the libraries that it loads agree on.
#include <cotenant/share/manager.hpp>

struct PluginCall {
  cotenant::TensorSharingManager& manager;
};
using PluginFunction = void (*)(const PluginCall&);
