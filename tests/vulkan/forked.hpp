// Runs a function in a forked child of the test.
#ifndef COTENANT_TESTS_VULKAN_FORKED_HPP
#define COTENANT_TESTS_VULKAN_FORKED_HPP
#include <sys/wait.h>
#include <unistd.h>

namespace cotenant::test {

// What f() gives, which is below 256; -1 where the child did not end by itself within a minute.
template <class F> int in_child(const F& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    ::_exit(f());
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace cotenant::test

#endif
