// A program without exceptions: the error handler is told, and returning from it would end the program.
#include <cotenant/cotenant.hpp>

#include <cstdio>
#include <cstdlib>

int main() {
  cotenant::set_error_handler([](const cotenant::Error& error) {
    std::printf("handler: %s: %s\n", to_string(error.code()), error.what());
    std::exit(error.code() == cotenant::ErrorCode::shape_mismatch ? 0 : 1);
  });
  const auto x = cotenant::from<float>({1, 2, 3, 4}, {2, 2});
  const auto y = cotenant::from<float>({1, 2, 3}, {3, 1});
  static_cast<void>(cotenant::matmul(x, y));
  return 1;  // not reached: the shapes do not fit
}
