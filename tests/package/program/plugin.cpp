// A library that a program loads while it runs, and that has its own copy of cotenant: it uses the program's tensors.
#include "plugin.hpp"

extern "C" __attribute__((visibility("default"))) void plugin_doubles(const PluginCall& call) {
  const auto weights = call.manager.get<float>("weights", "plugin");
  auto twice = cotenant::empty<float>(weights->shape());
  for (std::size_t i = 0; i < twice.size(); ++i) twice.mutable_view().data()[i] = 2 * weights->view().data()[i];
  static_cast<void>(call.manager.register_tensor("twice", twice));
}
extern "C" __attribute__((visibility("default"))) void plugin_asks(const PluginCall& call) {
  static_cast<void>(call.manager.get<float>("nothing of that name", "plugin"));
}
